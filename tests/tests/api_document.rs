//! The API against its own document: a fuzzer that knows the document asks for everything that it promises, and for
//! what it forbids.

use std::process::Command;

use jiff::SignedDuration;
use pushway_tests::repository::root;
use pushway_tests::served::serve;
use pushway_tests::sim::people::{send, signed};
use pushway_tests::sim::story::Story;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a29_what_the_document_promises_holds_and_what_it_forbids_is_refused() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.play();
        story.world().advance(SignedDuration::from_secs(5));
    }
    let world = story.world();
    let order = json!({ "name": "fuzzer", "scopes": ["admin"], "days": 1 }).to_string();
    let made = send(&world, &signed("POST", "ada", "/v1/tokens", &[], &order)).expect("it answers").json();
    let token = made["token"].as_str().expect("the token");
    let address = serve(world).await;
    let program = root().join(".pushway/schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is not there; `cargo xtask test` installs it", program.display());
    // It leaves what it has found in the folder that it runs in.
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["schemathesis.toml", "schemathesis_hooks.py"] {
        std::fs::copy(root().join("tests").join(file), folder.path().join(file)).expect("its settings");
    }
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .args(["run", &format!("{address}/openapi.json")])
        .env("PUSHWAY_TOKEN", token)
        .args(["--seed", "20261126", "--no-color"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends");
    let output = output.expect("schemathesis starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{told}");
}
