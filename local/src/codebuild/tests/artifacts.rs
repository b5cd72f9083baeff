//! What a build leaves in a bucket, where it was told to.

use serde_json::{Value, json};

use super::{World, context, inline};

/// What Pushway asks of a build that names its images in a file.
fn override_of(more: &Value) -> Value {
    let mut artifacts = json!({
        "type": "S3", "location": "bucket", "path": "runs/r1/build-image-1", "name": "artifact",
        "namespaceType": "NONE", "packaging": "NONE", "overrideArtifactName": false, "encryptionDisabled": true,
    });
    artifacts.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    artifacts
}

/// Runs a build whose commands write three files, with these `artifacts` of its buildspec.
async fn left(artifacts: &str, more: &Value) -> (World, Value, Vec<(String, String)>) {
    let world = World::new().await;
    let spec = format!(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - mkdir -p out/deep\n      - echo '[]' > imagedefinitions.json\n      \
         - cp imagedefinitions.json out/\n      - echo '{{}}' > out/deep/imageDetail.json\nartifacts:\n{artifacts}"
    );
    let mut request = inline(&spec);
    request["artifactsOverride"] = override_of(more);
    let id = world.start(request).await;
    let build = world.ended(&id).await;
    let objects = std::mem::take(&mut *world.told.objects.lock().unwrap());
    (world, build, objects)
}

fn paths(objects: &[(String, String)]) -> Vec<&str> {
    objects.iter().map(|(path, _)| path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_lies_in_the_bucket_where_codebuild_would_put_it() {
    const ROOT: &str = "/bucket/runs/r1/build-image-1/artifact/imagedefinitions.json";
    for artifacts in [
        "  files: imagedefinitions.json\n",
        "  files: [imagedefinitions.json]\n",
        "  files: [imagedefinitions.json]\n  name: of-the-buildspec\n",
        "  files: [imagedefinitions.json]\n  base-directory: out\n",
        "  files: [out/imagedefinitions.json]\n  discard-paths: yes\n",
        "  files: ['**/imagedefinitions.json']\n  base-directory: $CODEBUILD_SRC_DIR/out\n",
        "  files: [imagedefinitions.json]\n  secondary-artifacts: { other: { files: ['**/*'] } }\n",
    ] {
        let (world, build, objects) = left(artifacts, &json!({})).await;
        assert_eq!(build["buildStatus"], "SUCCEEDED", "{artifacts}{}", world.log());
        assert_eq!(objects, [(ROOT.to_owned(), "[]\n".to_owned())], "{artifacts}");
        assert_eq!(build["artifacts"]["location"], "arn:aws:s3:::bucket/runs/r1/build-image-1/artifact");
    }
    let (_, _, objects) = left("  files: ['**/*']\n  base-directory: out\n", &json!({})).await;
    let folder = "/bucket/runs/r1/build-image-1/artifact";
    let all = ["deep/imageDetail.json", "imagedefinitions.json"].map(|file| format!("{folder}/{file}"));
    assert_eq!(paths(&objects), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_buildspec_counts_only_where_the_build_was_told_so() {
    let artifacts = "  files: [imagedefinitions.json]\n  name: own\n";
    let (_, _, objects) = left(artifacts, &json!({ "overrideArtifactName": true, "path": "" })).await;
    assert_eq!(paths(&objects), ["/bucket/own/imagedefinitions.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_has_nothing_to_leave_fails_and_one_that_was_told_nothing_leaves_nothing() {
    let (_, build, objects) = left("  files: [absent.json]\n", &json!({})).await;
    assert_eq!((build["buildStatus"].as_str(), objects.len()), (Some("FAILED"), 0));
    let (code, message) = context(&build, "UPLOAD_ARTIFACTS");
    assert!(code == "CLIENT_ERROR" && message.contains("no matching artifact paths"), "{message}");
    let only_others = "  secondary-artifacts: { other: { files: ['**/*'] } }\n";
    let (_, build, _) = left(only_others, &json!({})).await;
    assert!(context(&build, "UPLOAD_ARTIFACTS").1.contains("no definition for primary artifacts"), "{build}");
    let (_, build, objects) =
        left("  files: [imagedefinitions.json]\n", &json!({ "type": "NO_ARTIFACTS" })).await;
    assert_eq!((build["buildStatus"].as_str(), objects.len()), (Some("SUCCEEDED"), 0));
}
