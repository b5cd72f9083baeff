//! What a build brings along: buildspecs and `JUnit` reports, read by the laptop engine's build worker, and the files
//! in which it names its images.

use pushway_core::ids::ImageUri;
use pushway_core::image_file::{MAX_IMAGES, definitions, detail};
use pushway_local::codebuild::{check_buildspec, check_report};

use crate::seeds;

pub(crate) fn junit(input: &[u8]) {
    let _refused = check_report("junit.xml", &String::from_utf8_lossy(input));
}

pub(crate) fn junit_seeds() -> Vec<Vec<u8>> {
    let nested = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="outer"><testsuite name="inner">
<testcase name="adds" classname="math" time="1,000.25"/>
<testcase name="sub &lt;1&gt;"><failure message="want 1">left &amp; right&#33;</failure></testcase>
<testcase name="div"><error><![CDATA[panic <here>]]></error></testcase>
<testcase name="later"><skipped/></testcase><!-- end --></testsuite></testsuite></testsuites>"#;
    let bomb = r#"<!DOCTYPE a [<!ENTITY b "xx"><!ENTITY c "&b;&b;">]><testsuite name="&c;"/>"#;
    vec![nested.into(), bomb.into()]
}

pub(crate) fn buildspec(input: &[u8]) {
    let _refused = check_buildspec("buildspec.yml", &String::from_utf8_lossy(input));
}

pub(crate) fn buildspec_seeds() -> Vec<Vec<u8>> {
    let whole = "version: 0.2\nenv:\n  shell: bash\n  variables: { A: 1, B: \"two\" }\n  parameter-store: { C: /c }\n  \
        exported-variables: [A]\nphases:\n  build:\n    on-failure: CONTINUE\n    commands:\n      - |\n        echo\n    \
        finally: [echo]\n  post_build:\nreports:\n  unit: { files: [\"*.xml\"], discard-paths: yes }\n\
        artifacts: { files: [\"**/*\"] }\n";
    let files = ["examples/hello-ecs/buildspec.yml", "examples/hello-ecs/ci/unit.yml"];
    let mut seeds: Vec<Vec<u8>> = files.into_iter().map(seeds::file).collect();
    seeds.push(whole.into());
    seeds
}

/// What is read of a file is an image that its own text names again, whatever else was in it.
pub(crate) fn image_files(input: &[u8]) {
    let named = definitions(input).unwrap_or_default();
    assert!(named.len() <= MAX_IMAGES);
    for uri in named.into_values().chain(detail(input)) {
        let text = match &uri {
            ImageUri::Fixed(image) => image.to_string(),
            ImageUri::Tagged(image) => image.to_string(),
        };
        assert_eq!(text.parse(), Ok(uri), "{text}");
    }
}

pub(crate) fn image_files_seeds() -> Vec<Vec<u8>> {
    let digest = format!("sha256:{}", "a".repeat(64));
    let registry = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/web";
    [
        format!(r#"[{{"name": "web", "imageUri": "{registry}:1.0"}}, {{"name": "side", "imageUri": "nginx"}}]"#),
        format!(r#"[{{"name":"web","imageUri":"{registry}:1@{digest}"}}]"#),
        format!(r#"[{{"name":"web","imageUri":"web::1@{digest}"}}]"#),
        format!(r#"{{"ImageSizeInBytes": "4", "ImageURI": "localhost:4566/web@{digest}", "ImageTags": ["latest"]}}"#),
        "\u{feff}{\"ImageURI\": \"team/web:1_0-x\"}".to_owned(),
    ]
    .map(String::into_bytes)
    .into()
}
