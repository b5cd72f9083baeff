//! Images that a build's own files name.

use pushway_core::image_file::ImageFile;
use pushway_core::plan::ImageSource;

use super::{changed, problems, read};

const WEB: &str = "images: { web: \"${build.image.IMAGE}\" }\n";

fn with(images: &str) -> String {
    changed(WEB, &format!("images: {images}\n"))
}

#[test]
fn a_file_of_a_build_names_all_images_or_one() {
    let plan = read(&with("\"${build.image.imagedefinitions.json}\"")).plan;
    let target = &plan.environments[0].target;
    assert_eq!(target.images_from(), Some(&"image".parse().unwrap()));
    assert!(target.images().is_empty());
    assert_eq!(plan.build[0].image_files, [ImageFile::Definitions]);
    assert!(plan.clone().for_untrusted().build[0].image_files.is_empty(), "no artifacts for untrusted code");

    let plan = read(&with("{ web: \"${build.image.imageDetail.json}\" }")).plan;
    assert_eq!(
        plan.environments[0].target.images()["web"],
        ImageSource::Detail { job: "image".parse().unwrap() }
    );
    assert_eq!(plan.build[0].image_files, [ImageFile::Detail]);

    let plan = read(super::GOOD).plan;
    assert!(plan.build.iter().all(|job| job.image_files.is_empty()), "nobody asks for a file");
    assert!(!serde_json::to_string(&plan).unwrap().contains("image_files"), "and plans stay as they were");
}

#[test]
fn each_file_has_one_place() {
    for (images, words) in [
        ("\"${build.imgae.imagedefinitions.json}\"", "did you mean `image`?"),
        (
            "\"${build.image.imageDetail.json}\"",
            "name the container: {web: \"${build.<job>.imageDetail.json}\"}",
        ),
        ("\"${build.image.IMAGE}\"", "name containers and their images"),
        ("\"${build.image.imagedefinitions.json} \"", "and nothing around it"),
        ("\"${test.unit.imagedefinitions.json}\"", "must come from the build stage"),
        ("web", "`images` can't be `web`"),
        ("{ web: \"${build.image.imagedefinitions.json}\" }", "write it in place of the map"),
        ("{ web: \"${build.image.imagedetail.json}\" }", "`imagedetail.json` is no file that names images"),
        ("{ web: \"${build.imgae.imageDetail.json}\" }", "did you mean `image`?"),
        ("{ web: \"${build.image.imageDetail.json}-x\" }", "only known after its job"),
    ] {
        let found = problems(&with(images));
        assert!(found.contains(words), "{images}: {found}");
    }
}
