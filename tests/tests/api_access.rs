//! Who may ask the API for what: the matrix of all its operations and callers, made from the document that it serves;
//! orders that are given twice; the audit list.

use jiff::SignedDuration;
use pushway_core::testing::{Injected, World};
use pushway_tests::sim::people::{Answer, arn, send, signed, token, unsigned};
use pushway_tests::sim::story::Story;
use serde_json::{Value, json};

/// An operation of the document.
struct Operation {
    id: String,
    method: String,
    /// With something in place of each parameter.
    path: String,
    scope: Option<String>,
}

fn document(world: &World) -> Value {
    send(world, &unsigned("GET", "/openapi.json", &[], "")).expect("it answers").json()
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let all = paths.flat_map(|(path, methods)| {
        methods.as_object().expect("methods").iter().map(move |(method, operation)| Operation {
            id: operation["operationId"].as_str().expect("an id").to_owned(),
            method: method.to_uppercase(),
            path: path.replace(['{', '}'], ""),
            scope: operation["x-scope"].as_str().map(str::to_owned),
        })
    });
    all.collect()
}

fn with(world: &World, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    send(world, &unsigned(method, path, &[("authorization", &bearer)], body)).expect("it answers")
}

/// What each caller is told where the right scope is missing, and that nothing else keeps them out.
#[test]
fn a30_every_operation_is_held_against_its_scope_for_every_kind_of_caller() {
    let story = Story::new();
    let world = story.world();
    let short = token(&world, "short", &["admin"], 1);
    world.advance(SignedDuration::from_hours(25));
    let holders = ["read", "run", "approve", "admin"].map(|scope| (scope, token(&world, scope, &[scope], 1)));
    let revoked = token(&world, "revoked", &["admin"], 1);
    send(&world, &signed("POST", "ada", "/v1/tokens/revoked/revoke", &[], "")).expect("it answers");
    let forged = format!("{}{}", &holders[3].1[..20], "0".repeat(holders[3].1.len() - 20));
    let operations = operations(&document(&world));
    assert!(operations.len() > 25, "{}", operations.len());
    for Operation { id, method, path, scope } in &operations {
        let anyone = send(&world, &unsigned(method, path, &[], "")).expect("it answers").status;
        let Some(scope) = scope else {
            assert_eq!(anyone, 200, "{id} is open");
            continue;
        };
        assert_eq!(anyone, 401, "{id} by anyone");
        for (who, bad) in
            [("expired", &short), ("revoked", &revoked), ("forged", &forged), ("empty", &String::new())]
        {
            let answer = with(&world, bad, method, path, "");
            assert_eq!(answer.status, 401, "{id} by an {who} token");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{id}: {}", answer.headers);
        }
        for (own, token) in &holders {
            let may = *own == "admin" || own == scope || scope == "read";
            let answer = with(&world, token, method, path, "");
            assert_eq!(answer.status != 403, may, "{id} by the scope {own}: {}", answer.body);
            assert_ne!(answer.status, 401, "{id} by the scope {own}");
            assert!(answer.status < 500, "{id} by the scope {own}: {}", answer.body);
        }
        // A signature that the gateway has not checked is none, whatever the path says.
        let pretended = send(&world, &unsigned(method, &format!("/iam{path}"), &[], "")).expect("it answers");
        assert_eq!(pretended.status, 401, "{id} with the path of a signed request");
        let signed = send(&world, &signed(method, "ada", path, &[], "")).expect("it answers").status;
        assert!(!matches!(signed, 401 | 403) && signed < 500, "{id} by the account: {signed}");
    }
}

#[test]
fn the_document_describes_what_is_served() {
    let story = Story::new();
    let document = document(&story.world());
    assert_eq!(document["openapi"], "3.1.0");
    // Every reference leads somewhere.
    let text = document.to_string();
    for name in text.split("\"#/components/").skip(1).filter_map(|rest| rest.split('"').next()) {
        let at = document.pointer(&format!("/components/{name}"));
        assert!(at.is_some(), "nothing lies at {name}");
    }
    let mut ids: Vec<String> = operations(&document).into_iter().map(|operation| operation.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "every operation has a name of its own");
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let mut story = Story::new();
    let run = story.play();
    let path = format!("/v1/runs/{}", run.id);
    let world = story.world();
    let ask =
        |known: &str| send(&world, &signed("GET", "ada", &path, &[("if-none-match", known)], "")).unwrap();
    let first = ask("\"other\"");
    assert_eq!(first.status, 200);
    let tag = first.header("etag").to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".to_owned()] {
        let again = ask(&known);
        assert_eq!(
            (again.status, again.body.as_str(), again.header("etag")),
            (304, "", tag.as_str()),
            "{known}"
        );
    }
    assert_eq!(first.header("cache-control"), "private, no-cache");
}

/// Freezes an environment under a key.
fn freeze(world: &World, who: &str, key: &str, reason: &str) -> Answer {
    world.advance(SignedDuration::from_secs(1));
    let path = "/v1/environments/web/staging/freeze";
    let body = json!({ "reason": reason }).to_string();
    send(world, &signed("POST", who, path, &[("idempotency-key", key)], &body)).expect("it answers")
}

#[test]
fn an_order_that_is_given_again_is_answered_as_before_and_carried_out_once() {
    let mut story = Story::new();
    story.play();
    let world = story.world();
    let first = freeze(&world, "ada", "k1", "sale");
    assert_eq!(first.status, 200, "{}", first.body);
    let path = "/v1/environments/web/staging/unfreeze";
    send(&world, &signed("POST", "ada", path, &[], "")).expect("it answers");
    let again = freeze(&world, "ada", "k1", "sale");
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    // It was not carried out again.
    let at = "/v1/environments/web/staging";
    let record = send(&world, &signed("GET", "ada", at, &[], "")).expect("it answers").json();
    assert_eq!(record["freeze"], Value::Null);
    // A key stands for one request, and is its owner's alone.
    assert_eq!(freeze(&world, "ada", "k1", "another reason").status, 422);
    assert_eq!(freeze(&world, "bob", "k1", "another reason").status, 200);
    assert_eq!(freeze(&world, "ada", &"k".repeat(201), "sale").status, 400);
    // What could not be carried out may be tried again.
    world.inject_on("environment", 1, Injected::Permanent);
    assert_eq!(freeze(&world, "ada", "k2", "sale").status, 500);
    assert_eq!(freeze(&world, "ada", "k2", "sale").status, 200);
}

#[test]
fn an_order_whose_function_died_is_taken_up_once_its_time_is_over() {
    let mut story = Story::new();
    story.play();
    let world = story.world();
    world.inject_on("put_environment", 1, Injected::DiesBefore);
    let path = "/v1/environments/web/staging/freeze";
    let request = signed("POST", "ada", path, &[("idempotency-key", "k1")], "{\"reason\":\"sale\"}");
    assert!(send(&world, &request).is_none(), "its process dies");
    world.advance(SignedDuration::from_secs(1));
    let early = send(&world, &request).expect("it answers");
    assert_eq!((early.status, early.header("retry-after")), (409, "2"), "{}", early.body);
    world.advance(SignedDuration::from_secs(61));
    assert_eq!(send(&world, &request).expect("it answers").status, 200);
}

#[test]
fn every_change_is_noted_with_who_what_and_how_it_ended() {
    let mut story = Story::new();
    story.play();
    let world = story.world();
    freeze(&world, "ada", "k1", "sale until Monday");
    world.advance(SignedDuration::from_secs(1));
    send(
        &world,
        &signed(
            "POST",
            "bob",
            "/v1/runs/01890a5d-ac96-774b-bcce-b302099a8057/environments/x/approve",
            &[],
            "{}",
        ),
    );
    world.advance(SignedDuration::from_secs(1));
    let read = token(&world, "reader", &["read"], 1);
    with(&world, &read, "GET", "/v1/runs", "");
    let page = send(&world, &signed("GET", "ada", "/v1/audit", &[], "")).expect("it answers").json();
    let told: Vec<Value> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| json!([entry["by"], entry["operation"], entry["status"], entry["reason"]]))
        .collect();
    let expected = [
        json!([arn("ada"), "freeze", 200, "sale until Monday"]),
        json!([arn("bob"), "approve", 400, null]),
        json!([arn("ada"), "createToken", 201, null]),
    ];
    assert_eq!(told, expected);
    // Nothing is left out from page to page, and a cursor is of one day.
    for n in 0..120 {
        freeze(&world, "ada", &format!("many-{n}"), "again and again");
    }
    let ask = |query: &str| {
        send(&world, &signed("GET", "ada", &format!("/v1/audit{query}"), &[], "")).expect("it answers")
    };
    let first = ask("").json();
    let next = first["next"].as_str().expect("there is more");
    let rest = ask(&format!("?cursor={next}")).json();
    let count = |page: &Value| page["entries"].as_array().expect("entries").len();
    assert_eq!((count(&first), count(&rest), &rest["next"]), (100, 23, &Value::Null));
    assert_eq!(ask(&format!("?day=2026-09-20&cursor={next}")).status, 404);
    // What can't be noted is not done.
    world.inject_on("note", 1, Injected::Permanent);
    assert_eq!(freeze(&world, "ada", "k3", "again").status, 503);
    assert_eq!(world.environment_records()[0].freeze.as_ref().unwrap().reason, "sale until Monday");
    // An order whose function died stands there without an end.
    world.inject_on("put_environment", 1, Injected::DiesBefore);
    let path = "/v1/environments/web/staging/unfreeze";
    send(&world, &signed("POST", "ada", path, &[], ""));
    let last = world.audit().pop().unwrap();
    assert_eq!((last.status, last.path.as_str()), (None, path));
}

#[test]
fn a37_a_token_is_shown_once_and_kept_nowhere() {
    let story = Story::new();
    let world = story.world();
    let order = json!({ "name": "ci", "scopes": ["run"], "days": 30 }).to_string();
    let request = signed("POST", "ada", "/v1/tokens", &[("idempotency-key", "k1")], &order);
    let made = send(&world, &request).expect("it answers");
    let secret = made.json()["token"].as_str().unwrap().rsplit('_').next().unwrap().to_owned();
    // The same order again makes no second token, and does not show the first one.
    let again = send(&world, &request).expect("it answers");
    assert_eq!(again.status, 409, "{}", again.body);
    let list = send(&world, &signed("GET", "ada", "/v1/tokens", &[], "")).expect("it answers");
    assert_eq!(list.json()["tokens"][0]["name"], "ci");
    let kept = format!("{world:?} {} {}", again.body, list.body);
    assert!(!kept.contains(&secret), "the secret lies somewhere");
    assert!(!list.body.contains("digest"), "its hash is nobody's business");
}

#[test]
fn bodies_that_are_no_json_or_too_large_are_refused_by_name() {
    let mut story = Story::new();
    story.play();
    let world = story.world();
    let path = "/v1/environments/web/staging/freeze";
    let send = |headers: &[(&str, &str)], body: &str| {
        send(&world, &signed("POST", "ada", path, headers, body)).unwrap()
    };
    assert_eq!(send(&[("content-type", "text/plain")], "{\"reason\":\"x\"}").status, 415);
    assert_eq!(send(&[], &format!("{{\"reason\":\"{}\"}}", "x".repeat(300_000))).status, 413);
    let unknown = send(&[], "{\"reason\":\"x\",\"until\":\"monday\"}");
    assert_eq!(unknown.status, 400);
    assert!(unknown.body.contains("until"), "{}", unknown.body);
    assert_eq!(send(&[], "{\"reason\":\" \"}").status, 400);
}
