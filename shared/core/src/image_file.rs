//! The files by which builds made for `CodePipeline` say which images they have made: `imagedefinitions.json` and
//! `imageDetail.json` (AWS `CodePipeline` User Guide, "Image definitions file reference").
//!
//! Pure: where such a file lies among a build's artifacts, what it says, and whether that fits the plan. What it
//! says comes from a build, so every part of it is checked here; tags are pinned to digests by who reads it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition_file;
use crate::fact::JobId;
use crate::ids::{ImageDigestRef, ImageUri, JobName, RunId};
use crate::messages;
use crate::plan::{EnvironmentPlan, ImageSource, Plan, Target};

/// The largest file that is taken, which is what `CodePipeline` takes (the same page).
pub const MAX_IMAGE_FILE_BYTES: usize = 100 * 1024;
/// The most images that a file may name: a task definition has at most ten containers (Amazon ECS Developer
/// Guide, "Amazon ECS service quotas").
pub const MAX_IMAGES: usize = 10;
/// What the artifact of a build is called; `CodeBuild` makes a folder of that name.
pub const ARTIFACT: &str = "artifact";

/// A file that says which images a build has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ImageFile {
    /// Images by the names of containers.
    #[serde(rename = "imagedefinitions.json")]
    Definitions,
    /// One image.
    #[serde(rename = "imageDetail.json")]
    Detail,
}

impl ImageFile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Definitions, Self::Detail];

    /// Its name, at the root of the artifact.
    pub fn name(self) -> &'static str {
        match self {
            Self::Definitions => "imagedefinitions.json",
            Self::Detail => "imageDetail.json",
        }
    }
}

impl fmt::Display for ImageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The images that a build's files named, by digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuiltImages {
    /// Those of `imagedefinitions.json`, by container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<String, ImageDigestRef>,
    /// That of `imageDetail.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<ImageDigestRef>,
}

impl BuiltImages {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The folder of the bucket that an attempt of a job leaves its artifact in. Nobody can guess the name of
/// another run's, and builds can't list the bucket.
pub fn folder(run: RunId, job: &JobId, attempt: u32) -> String {
    format!("runs/{run}/{}-{}-{attempt}", job.stage, job.name)
}

/// The key of a file that an attempt of a job leaves behind.
pub fn key(run: RunId, job: &JobId, attempt: u32, file: ImageFile) -> String {
    format!("{}/{ARTIFACT}/{file}", folder(run, job, attempt))
}

/// Says to each build job which files the environments ask for.
pub fn mark(plan: &mut Plan) {
    for environment in &plan.environments {
        let details = environment.target.images().values().filter_map(|source| match source {
            ImageSource::Detail { job } => Some((job, ImageFile::Detail)),
            _ => None,
        });
        let definitions = environment.target.images_from().map(|job| (job, ImageFile::Definitions));
        for (name, file) in details.chain(definitions) {
            let jobs =
                plan.build.iter_mut().filter(|job| job.name == *name && !job.image_files.contains(&file));
            jobs.for_each(|job| job.image_files.push(file));
        }
    }
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    #[serde(rename = "imageUri")]
    image: String,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "ImageURI")]
    image: String,
}

/// What an `imagedefinitions.json` says: images by container.
pub fn definitions(bytes: &[u8]) -> Result<BTreeMap<String, ImageUri>, String> {
    let list: Vec<Definition> = json(bytes, ImageFile::Definitions)?;
    if list.is_empty() {
        return Err(messages::image_file_empty());
    }
    if list.len() > MAX_IMAGES {
        return Err(messages::image_file_too_many(list.len(), MAX_IMAGES));
    }
    let mut images = BTreeMap::new();
    for Definition { name, image } in list {
        if !is_ecs_name(&name) {
            return Err(messages::image_file_container(&name));
        }
        let uri = image.parse().map_err(|error| format!("{error}"))?;
        if images.insert(name.clone(), uri).is_some() {
            return Err(messages::definition_twice(&name));
        }
    }
    Ok(images)
}

/// What an `imageDetail.json` says. The source action of `CodePipeline` writes more into it, which is not needed.
pub fn detail(bytes: &[u8]) -> Result<ImageUri, String> {
    let detail: Detail = json(bytes, ImageFile::Detail)?;
    detail.image.parse().map_err(|error| format!("{error}"))
}

fn json<T: for<'de> Deserialize<'de>>(bytes: &[u8], file: ImageFile) -> Result<T, String> {
    if bytes.len() > MAX_IMAGE_FILE_BYTES {
        return Err(messages::image_file_too_large(MAX_IMAGE_FILE_BYTES));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| messages::image_file_not_utf8())?;
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| messages::image_file_malformed(file, &error))
}

/// Names as ECS takes them for clusters, services and containers (Amazon ECS API Reference, `CreateService`).
pub(crate) fn is_ecs_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Why the images of a job's `imagedefinitions.json` can't be deployed as the plan says, if so: found out right
/// after the build, before anything is tested.
pub fn check(plan: &Plan, job: &JobName, images: &BTreeMap<String, ImageDigestRef>) -> Result<(), String> {
    let asking = plan.environments.iter().filter(|planned| planned.target.images_from() == Some(job));
    asking.into_iter().try_for_each(|planned| check_environment(planned, images))
}

fn check_environment(
    planned: &EnvironmentPlan,
    images: &BTreeMap<String, ImageDigestRef>,
) -> Result<(), String> {
    let known = planned.target.containers();
    // Where nothing is known of the target, the deploy looks.
    if let Some(absent) = images.keys().find(|name| !known.is_empty() && !known.contains(name)) {
        let target = match &planned.target {
            Target::Ecs(target) => format!("service {:?}", target.service),
            Target::EcsScheduledTask(target) => target.starter.to_string(),
        };
        return Err(messages::image_file_no_container(&planned.name, &target, absent, &known));
    }
    let mut files = planned.definitions().filter_map(|file| file.content.as_ref());
    files.try_for_each(|content| definition_file::check_images(content, images))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_of_the_user_guide_are_read() {
        let text = r#"[{"name": "sample-app", "imageUri": "11111EXAMPLE.dkr.ecr.us-west-2.amazonaws.com/ecs-repo:latest"},
            {"name": "side", "imageUri": "nginx"}]"#;
        let images = definitions(text.as_bytes()).unwrap();
        assert_eq!(images.keys().collect::<Vec<_>>(), ["sample-app", "side"]);
        let detail_of_a_source = r#"{"ImageSizeInBytes": "44728918", "ImageDigest": "sha256:EXAMPLE11223344556677889900bfea42ea2d3b8a1ee8329ba7e68694950afd3",
            "Version": "1.0", "ImagePushedAt": "Mon Jan 21 20:04:00 UTC 2019", "RegistryId": "EXAMPLE12233",
            "RepositoryName": "dk-image-repo", "ImageURI": "r.example/dk-image-repo:latest", "ImageTags": ["latest"]}"#;
        assert!(matches!(detail(detail_of_a_source.as_bytes()), Ok(ImageUri::Tagged(_))));
    }

    #[test]
    fn what_can_not_be_deployed_is_told_with_what_is_wrong() {
        let said = |text: &str| definitions(text.as_bytes()).unwrap_err();
        let many: Vec<_> =
            (0..11).map(|n| serde_json::json!({ "name": format!("c{n}"), "imageUri": "a" })).collect();
        let large = format!("[{}]", " ".repeat(MAX_IMAGE_FILE_BYTES));
        for (text, words) in [
            ("", "not what"),
            ("{}", "not what"),
            (r#"{"ImageURI": "web:1"}"#, "not what"),
            (r#"[{"name": "web"}]"#, "imageUri"),
            (r#"[{"name": "web", "imageUri": 1}]"#, "line 1"),
            (r#"[{"name": "web", "name": "b", "imageUri": "a"}]"#, "duplicate"),
            ("[]", "names no image"),
            (&serde_json::to_string(&many).unwrap(), "11 images"),
            (&large, "100 KiB"),
            (r#"[{"name": "web app", "imageUri": "a"}]"#, "web app"),
            (r#"[{"name": "web", "imageUri": "<IMAGE1_NAME>"}]"#, "<IMAGE1_NAME>"),
            (r#"[{"name": "web", "imageUri": ""}]"#, "is not valid"),
            (r#"[{"name": "web", "imageUri": "a"}, {"name": "web", "imageUri": "b"}]"#, "two containers"),
        ] {
            assert!(said(text).contains(words), "{words}: {}", said(text));
        }
        assert!(definitions(b"\xff").unwrap_err().contains("UTF-8"));
        assert!(detail(b"[]").unwrap_err().contains("ImageURI"));
        assert!(detail(br#"{"ImageURI": null}"#).is_err());
        assert!(
            detail("\u{feff}{\"ImageURI\": \"a\"}".as_bytes()).is_ok(),
            "a mark of the byte order is no fault"
        );
    }

    #[test]
    fn a_run_of_before_this_file_loads() {
        let end: crate::fact::JobEnd =
            serde_json::from_value(serde_json::json!({ "failure": null, "will_retry": false })).unwrap();
        assert!(end.images.is_empty());
        assert!(serde_json::to_value(&end).unwrap().get("images").is_none(), "and is written as it was");
    }
}
