//! What someone does who comes from `CodePipeline`.

use crate::service::Service;
use crate::{Repository, begin, contains, ended, text};

/// As AWS' tutorial of a deployment to ECS has it: the image goes to the registry under a tag, and a file names it.
const BUILDSPEC: &str = r#"version: 0.2
phases:
  install:
    commands:
      - export PATH="$PATH:$HOME/.cargo/bin"
  build:
    commands:
      - IMAGE=$(sh ci/push-image.sh)
  post_build:
    commands:
      - TAG=${CODEBUILD_RESOLVED_SOURCE_VERSION:-$(git rev-parse HEAD)}
      - printf '[{"name":"web","imageUri":"%s"}]' "${IMAGE%@*}:$TAG" > imagedefinitions.json
artifacts:
  files: imagedefinitions.json
"#;

pub(crate) fn a_codepipeline_users_buildspec_works_unchanged(repository: &Repository, service: &Service) {
    let files = ["buildspec.yml", "pushway.yml"].map(|file| repository.folder.join(file));
    let before = files.each_ref().map(|file| std::fs::read_to_string(file).expect("read"));
    let path = &files[0];
    repository.edit("pushway.yml", ", outputs: [IMAGE] }", " }");
    let (exported, named) =
        ("images: { web: \"${build.image.IMAGE}\" }", "images: \"${build.image.imagedefinitions.json}\"");
    repository.edit("pushway.yml", exported, named);
    std::fs::write(path, BUILDSPEC).expect("write");
    let run = ended(&begin(repository, "2.1.0"));
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("2.1.0");
    let image = text(&run["environments"][0]["rollout"]["images"]["web"]);
    assert!(image.ends_with(&service.digest()), "what was tagged is not what serves: {image}");

    // A container that the service does not have: found out when the build ends, before anything is tested.
    std::fs::write(path, BUILDSPEC.replace("\"name\":\"web\"", "\"name\":\"wbe\"")).expect("write");
    let run = ended(&begin(repository, "2.1.1"));
    assert_eq!(run["status"], "failed", "{run:#}");
    contains(&run["cause"]["summary"], "it names the container \"wbe\"");
    service.serves("2.1.0");

    for (file, text) in files.iter().zip(before) {
        std::fs::write(file, text).expect("write");
    }
}
