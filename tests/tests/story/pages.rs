//! The dashboard on the running installation, in a real browser: watching, reading, consenting, going back, and being
//! refused.

use pushway_tests::browser::Visitor;
use serde_json::{Value, json};

use crate::service::{PIPELINE, Service};
use crate::{Repository, begin, contains, ended, id, output, text, until};

/// How long a page may take to show a run's end, in milliseconds.
const PATIENCE: u32 = 120_000;

pub(crate) fn story(repository: &Repository, service: &Service, address: &str) {
    let visitor = |name: &str, scope: &str| {
        let token = output(&["token", "create", name, "--scope", scope, "--days", "1"]);
        Visitor::new(address, token.trim())
    };
    let (reader, approver) = (visitor("reader", "read"), visitor("approver", "approve"));
    a_run_is_watched_until_it_is_green(repository, &reader);
    the_line_that_says_why_is_found(repository, &reader);
    a_deploy_is_approved(repository, service, &approver);
    an_earlier_version_is_brought_back(service, &approver);
    let place = format!("/environments/{PIPELINE}/production");
    let found = reader.does("refuse", json!({ "environment": place }));
    assert_eq!(found, json!({ "acts": 0, "status": 403 }), "whoever may only look");
    let noted: Value = serde_json::from_str(&output(&["audit", "--json"])).expect("JSON");
    let noted = noted["entries"].as_array().expect("entries");
    for operation in ["approve", "rollBack"] {
        let entry = noted.iter().find(|entry| entry["operation"] == operation);
        assert_eq!(entry.expect("it is noted")["by"], "token:approver");
    }
}

fn a_run_is_watched_until_it_is_green(repository: &Repository, reader: &Visitor) {
    let run = begin(repository, "5.0.0");
    let found = reader.does("watch", json!({ "run": run, "patience": PATIENCE }));
    assert_ne!(text(&found["first"]).to_lowercase(), "succeeded", "it was over before anyone looked");
    assert_eq!(ended(&run)["status"], "succeeded");
}

fn the_line_that_says_why_is_found(repository: &Repository, reader: &Visitor) {
    let (good, bad) = ("IMAGE=$(sh ci/push-image.sh)", "echo the compiler is on strike && exit 3");
    repository.edit("buildspec.yml", good, bad);
    let run = repository.push("a build that fails before someone's eyes");
    assert_eq!(run["status"], "failed", "{run:#}");
    let found = reader.does("log", json!({ "run": id(&run), "job": "build/image", "line": "on strike" }));
    contains(&found["line"], "the compiler is on strike");
    repository.edit("buildspec.yml", bad, good);
}

fn a_deploy_is_approved(repository: &Repository, service: &Service, approver: &Visitor) {
    let (without, with) = ("  - name: production\n", "  - name: production\n    approval: { timeout: 1h }\n");
    repository.edit("pushway.yml", without, with);
    let run = begin(repository, "5.1.0");
    until(&run, |run| run["environments"][0]["approval"].is_object());
    approver.does("approve", json!({ "run": run }));
    let run = ended(&run);
    assert_eq!(run["status"], "succeeded", "{run:#}");
    assert_eq!(run["environments"][0]["approval"]["given"][0]["comment"], "seen <b>on</b> staging");
    service.serves("5.1.0");
    repository.edit("pushway.yml", with, without);
}

fn an_earlier_version_is_brought_back(service: &Service, approver: &Visitor) {
    let environment: Value =
        serde_json::from_str(&output(&["env", "show", PIPELINE, "production", "--json"])).expect("JSON");
    let to = text(&environment["earlier"][0]["run"]).to_owned();
    let place = format!("/environments/{PIPELINE}/production");
    let found = approver.does("rollback", json!({ "environment": place, "to": to }));
    let run = ended(text(&found["run"]));
    assert_eq!(run["status"], "succeeded", "{run:#}");
    assert_eq!(run["source"]["trigger"]["reason"], "the checkout is broken");
    service.serves("5.0.0");
}
