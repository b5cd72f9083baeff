//! What people do with their deploys, each behaviour on the running installation: approvals, freezes, the way back,
//! and someone who deploys by hand in between.

use serde_json::{Value, json};

use crate::artifacts::a_codepipeline_users_buildspec_works_unchanged;
use crate::service::{PIPELINE, Service};
use crate::{Repository, begin, contains, ended, id, output, pushway, text, until};

pub(crate) fn story(repository: &Repository, service: &Service) {
    let approved = approval_of_a_push_is_void_once_a_newer_one_asks(repository, service);
    people_go_back_and_freezes_hold_back_what_is_new(repository, service, &approved);
    who_deploys_by_hand_in_between_is_noticed(repository, service);
    two_pipelines_take_turns_at_one_service(repository, service);
    a_codepipeline_users_buildspec_works_unchanged(repository, service);
}

fn approval_of_a_push_is_void_once_a_newer_one_asks(repository: &Repository, service: &Service) -> String {
    let (without, with) = ("  - name: production\n", "  - name: production\n    approval: { timeout: 1h }\n");
    repository.edit("pushway.yml", without, with);
    let older = begin(repository, "1.3.0");
    until(&older, |run| run["environments"][0]["approval"].is_object());
    let newer = begin(repository, "1.4.0");
    until(&newer, |run| run["environments"][0]["approval"].is_object());
    let voided = ended(&older);
    assert_eq!((text(&voided["status"]), text(&voided["superseded_by"])), ("superseded", newer.as_str()));
    assert!(!pushway(&["approve", &older, "production"]).status.success(), "what is void was approved");

    let waiting: Value = serde_json::from_str(&output(&["approvals", "--json"])).expect("JSON");
    let [waiting] = waiting["approvals"].as_array().expect("a list").as_slice() else {
        panic!("{waiting:#}")
    };
    assert_eq!(text(&waiting["run_id"]), newer);
    let request = &waiting["approval"]["request"];
    let images = |of: &Value| text(&of["images"]["web"]).rsplit('@').next().unwrap_or_default().to_owned();
    assert_eq!(images(&request["serving"]), service.digest(), "it shows what serves");
    assert_ne!(images(request), images(&request["serving"]));
    contains(&request["pushes"], "version 1.3.0");

    output(&["approve", &newer, "--comment", "seen it"]);
    let run = ended(&newer);
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("1.4.0");
    assert_eq!(service.digest(), images(request), "what was approved is what is deployed");
    repository.edit("pushway.yml", with, without);
    newer
}

fn people_go_back_and_freezes_hold_back_what_is_new(
    repository: &Repository,
    service: &Service,
    before: &str,
) {
    let run = rolled_back(&["--reason", "the colours are wrong"]);
    service.serves("1.2.0");
    assert_eq!(run["jobs"], json!([]), "nothing is built for a rollback");
    assert_eq!(run["source"]["trigger"]["reason"], "the colours are wrong");

    output(&["env", "freeze", PIPELINE, "production", "--reason", "sale until Monday"]);
    let frozen = begin(repository, "1.5.0");
    until(&frozen, |run| run["environments"][0]["blocked"].is_string());
    let told = output(&["run", "show", &frozen]);
    assert!(told.contains("sale until Monday"), "{told}");
    // The way back stays open.
    rolled_back(&["--reason", "they were right after all", "--to", before]);
    service.serves("1.4.0");
    let told = output(&["env", "show", PIPELINE, "production"]);
    assert!(told.contains("sale until Monday") && told.contains(before), "{told}");
    output(&["env", "unfreeze", PIPELINE, "production"]);
    let run = ended(&frozen);
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("1.5.0");
}

fn who_deploys_by_hand_in_between_is_noticed(repository: &Repository, service: &Service) {
    // A revision of someone's own: neither ours nor what served before.
    let theirs = service.register_copy();
    let meddling = {
        let (service, theirs) = (service.clone(), theirs.clone());
        std::thread::spawn(move || service.move_once_it_moves(&theirs))
    };
    let run = ended(&begin(repository, "1.6.0"));
    meddling.join().expect("someone deployed by hand");
    assert_eq!(run["status"], "failed", "{run:#}");
    contains(&run["cause"]["summary"], "someone else has started deployment");
    assert_eq!(service.primary(), theirs, "nobody takes back what a person has done");
    service.serves("1.5.0");
    // The next push goes over it.
    let run = ended(&begin(repository, "1.7.0"));
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("1.7.0");
}

fn two_pipelines_take_turns_at_one_service(repository: &Repository, service: &Service) {
    let path = repository.folder.join("pushway.yml");
    let first = std::fs::read_to_string(&path).expect("read");
    let folder = repository.folder.join(".pushway");
    std::fs::create_dir_all(&folder).expect("create");
    std::fs::write(folder.join("a.yml"), &first).expect("write");
    let second =
        first.replace("pipeline: hello-ecs", "pipeline: second").replace("name: production", "name: live");
    std::fs::write(folder.join("b.yml"), second).expect("write");
    std::fs::remove_file(&path).expect("remove");
    let one = ended(&begin(repository, "2.0.0"));
    let commit = text(&one["source"]["commit"]);
    let explained: Value =
        serde_json::from_str(&output(&["explain", "--commit", commit, "--json"])).expect("JSON");
    let explained = explained["explanations"].as_array().expect("explanations");
    let runs: Vec<Value> = explained.iter().map(|told| ended(text(&told["run"]))).collect();
    assert_eq!(runs.len(), 2, "{explained:#?}");
    let mut held: Vec<(String, String)> = runs
        .iter()
        .map(|run| {
            assert_eq!(run["status"], "succeeded", "{run:#}");
            let journal = output(&["run", "watch", &id(run), "--json"]);
            let at = |wanted: &str| {
                let mut entries = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let entry = entries.find(|entry| entry["fact"]["fact"] == wanted).expect("the fact");
                text(&entry["at"]).to_owned()
            };
            (at("lock_taken"), at("validated"))
        })
        .collect();
    held.sort();
    assert!(held[0].1 <= held[1].0, "both were at the service at once: {held:?}");
    service.serves("2.0.0");
    std::fs::remove_dir_all(&folder).expect("remove");
    std::fs::write(&path, first).expect("write");
}

/// Rolls back, and gives the run, which must succeed.
fn rolled_back(args: &[&str]) -> Value {
    let started = output(&[&["rollback", PIPELINE, "production"], args].concat());
    let run = ended(started.trim());
    assert_eq!(run["status"], "succeeded", "{run:#}");
    assert_eq!(id(&run), started.trim());
    run
}
