//! Sentences about the files in which builds name their images.

use crate::fact::{Cause, JobId};
use crate::ids::{EnvironmentName, JobName, TaggedImage};
use crate::image_file::ImageFile;

/// A build that succeeded, and whose file does not say what can be deployed.
pub fn bad_image_file(job: &JobId, file: ImageFile, problem: &str) -> Cause {
    let summary = format!("the build succeeded, but {file} can't be used: {problem}");
    Cause::new(job, summary, format!("mend what the buildspec writes into {file} and push again"))
}

/// A build that left no such file behind.
pub fn no_image_file(job: &JobId, file: ImageFile) -> Cause {
    let summary = format!("the build succeeded, but there is no {file} among its artifacts");
    let advice = format!(
        "name it under artifacts.files in the buildspec, so that it lies at the root of the artifact: \
         {file} itself, or its folder as base-directory, or discard-paths: yes; secondary-artifacts do not count"
    );
    Cause::new(job, summary, advice)
}

/// A file that is larger than what is taken.
pub fn image_file_too_large(max: usize) -> String {
    format!("it is larger than {} KiB, which is the most that is taken", max / 1024)
}

/// A file in another encoding.
pub fn image_file_not_utf8() -> String {
    "it is not UTF-8 text".into()
}

/// A file that is not JSON, or of another shape.
pub fn image_file_malformed(file: ImageFile, error: &serde_json::Error) -> String {
    let shape = match file {
        ImageFile::Definitions => r#"[{"name": "<container>", "imageUri": "<image>"}]"#,
        ImageFile::Detail => r#"{"ImageURI": "<image>"}"#,
    };
    format!("it is not what CodePipeline takes, {shape}: {error}")
}

/// A file without images.
pub fn image_file_empty() -> String {
    "it names no image".into()
}

/// A file with more images than a task has containers.
pub fn image_file_too_many(count: usize, max: usize) -> String {
    format!("it names {count} images, and a task has at most {max} containers")
}

/// A name that no container has.
pub fn image_file_container(name: &str) -> String {
    let shown: String = name.chars().take(80).collect();
    format!("{shown:?} is no name of a container; use letters, digits, hyphens and underscores")
}

/// A container that the target does not have.
pub fn image_file_no_container(
    environment: &EnvironmentName,
    target: &str,
    wanted: &str,
    known: &[String],
) -> String {
    format!(
        "it names the container {wanted:?}, and {target} of environment {environment} has only {}",
        known.join(", ")
    )
}

/// A container that no image was given for.
pub fn image_file_leaves_out(container: &str, found: Option<&str>) -> String {
    match found {
        Some(placeholder) => {
            format!(
                "it names no image for the container {container:?}, which has the placeholder {placeholder}"
            )
        }
        None => format!("it names no image for the container {container:?}, which has none of its own"),
    }
}

/// A container whose image stands for another that nothing names.
pub fn definition_placeholder(container: &str, placeholder: &str) -> String {
    format!(
        "container {container:?} has the placeholder {placeholder}, and `images` in pushway.yml gives it no image; \
         name the container there"
    )
}

/// A tag that the registry does not know.
pub fn no_such_tag(image: &TaggedImage) -> String {
    format!("the registry has no image {image}; push it before the build ends")
}

/// A tag in a registry that is not the installation's own.
pub fn foreign_tag(image: &TaggedImage) -> String {
    format!(
        "{image} is named by its tag, which only the ECR registry of the installation's own account and region \
         is asked about; write the digest that `docker push` prints: {}/{}@sha256:…",
        image.registry(),
        image.repository()
    )
}

/// A tag or a file that can't be looked up.
pub fn images_not_looked_up(job: &JobId, what: &str, why: &str) -> Cause {
    let summary =
        format!("the build succeeded, but {what}, which says what to deploy, could not be read: {why}");
    let advice = "push again; if it stays so, see what the roles of build-completed and sweep in template.yaml may read";
    Cause::new(job, summary, advice)
}

/// A deploy that asks for images which a job has not named.
pub fn no_images_of(job: &JobName, file: ImageFile) -> String {
    format!("build/{job} has not said by {file} which image to deploy; push again")
}
