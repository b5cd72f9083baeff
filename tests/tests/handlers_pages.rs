//! The dashboard's pages as the API serves them: who may look, what is there, and with which headers.

use std::sync::atomic::{AtomicU32, Ordering};

use pushway_core::fact::{JobStage, LogPointer, TestSummary};
use pushway_core::ids::RunId;
use pushway_core::test_case::{CaseStatus, TestCase, TestResults};
use pushway_core::testing::{BuildScript, World};
use pushway_tests::sim::people::{Answer, cookie, get, send, signed, token, unsigned};
use pushway_tests::sim::story::{PIPELINE, Story};
use serde_json::json;

/// The cookie of a new session.
fn session(story: &Story, scope: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{scope}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let world = story.world();
    cookie(&world, &token(&world, &name, &[scope], 1))
}

fn with(story: &Story, cookie: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let all: Vec<(&str, &str)> = headers.iter().copied().chain([("cookie", cookie)]).collect();
    send(&story.world(), &unsigned("GET", path, &all, "")).expect("it answers")
}

fn look(story: &Story, path: &str) -> Answer {
    with(story, &session(story, "read"), path, &[])
}

#[test]
fn whoever_has_not_said_who_they_are_is_led_to_the_sign_in_and_back() {
    let mut story = Story::new();
    let run = story.play();
    let stranger = |path: &str| send(&story.world(), &unsigned("GET", path, &[], "")).expect("it answers");
    let answer = stranger(&format!("/runs/{}", run.id));
    assert_eq!((answer.status, answer.body.as_str()), (303, ""));
    assert_eq!(answer.header("location"), format!("/sign-in?next=%2Fruns%2F{}", run.id));
    // The script is not led anywhere: it would take the sign-in for what it asked for.
    assert_eq!(stranger(&format!("/runs/{}?part=main", run.id)).status, 401);
    let sign_in = stranger("/sign-in?next=//evil.example");
    assert_eq!(sign_in.status, 200);
    assert!(sign_in.body.contains("name=\"next\" value=\"/\""), "row A46: it leads to this site only");
}

#[test]
fn everything_there_is_has_a_page() {
    let mut story = Story::new();
    let run = story.play();
    let stream = story.world().builds()[1].id.clone();
    story.world().add_log(&LogPointer { group: "/pushway/builds".into(), stream }, &["one", "<script>two"]);
    let pipeline = run.pipeline.as_ref().expect("it is planned");
    let place = format!("/environments/{pipeline}/{}", run.environments[0].name);
    let id = run.id;
    for (path, words) in [
        ("/".to_owned(), "Pipelines"),
        ("/approvals".to_owned(), "Nothing waits for anyone"),
        (format!("/runs/{id}"), "Where the time went"),
        (format!("/runs/{id}/jobs/test/unit"), "&#60;script&#62;two"),
        (place.clone(), "Serves"),
        (format!("{place}/rollback?to={id}"), "Go back to an earlier version?"),
        (format!("/commits/{}", run.source.commit), "Deployed"),
    ] {
        let answer = look(&story, &path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(answer.body.contains(words), "{path} does not say {words:?}: {}", answer.body);
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
    }
    let log = look(&story, &format!("/runs/{id}/jobs/test/unit?part=lines")).body;
    assert!(log.trim_start().starts_with("<div class=\"page\"") && log.contains("id=\"L2\""), "{log}");
}

/// The unit tests fail in these cases, and say so.
fn fails(story: &Story, names: &[&str]) {
    let mut results =
        TestResults { failed: u32::try_from(names.len()).expect("few"), ..TestResults::default() };
    for name in names {
        results.push(TestCase::new("cart", name, CaseStatus::Failed, 61_500_000, "left: <b>1\nright: 2"));
    }
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Tests(results));
}

#[test]
fn a_runs_page_tells_where_time_and_money_went_and_which_failures_are_news() {
    let mut story = Story::new();
    fails(&story, &["adds"]);
    let before = story.play();
    fails(&story, &["adds", "<img src=x>"]);
    let run = story.play();
    let page = look(&story, &format!("/runs/{}", run.id)).body;
    let new =
        page.find("new</span><details><summary><code>cart › &#60;img src=x&#62;</code>").expect("it is new");
    let known = page.find("known</span><details><summary><code>cart › adds</code>").expect("it is known");
    assert!(new < known, "news come first");
    for told in [
        "left: &#60;b&#62;1\nright: 2",
        &format!("compared with <a href=\"/runs/{}\">", before.id),
        "1 min 1 s",
        "0 tests passed, 2 failed, 1 new",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    // The page's numbers are the API's.
    let (_, ledger) = get(&story.world(), &format!("/v1/runs/{}/ledger", run.id));
    let nano = ledger["money"]["nano_dollars"].as_u64().unwrap();
    assert!(page.contains(&format!("<b>{}</b>", pushway_core::prices::dollars(nano))), "{page}");
    let (_, table) = page.split_once("<table class=\"ledger\">").expect("its time is a table");
    let rows = table.split("</table>").next().unwrap().matches("<th scope=\"row\"><svg").count();
    assert_eq!(rows, ledger["totals"].as_array().unwrap().len());
    assert!(table.contains("waiting for a build machine") && table.contains("jobs and tasks"), "{table}");
}

/// What the page of a run reads when its script asks for it, and says.
fn reads(story: &Story, id: RunId) -> (Vec<&'static str>, String) {
    let mine = session(story, "read");
    let before = story.world().call_count();
    let page = with(story, &mine, &format!("/runs/{id}?part=main"), &[]);
    assert_eq!(page.status, 200);
    (story.world().calls()[before..].iter().map(|call| call.verb).collect(), page.body)
}

#[test]
fn a_page_that_is_asked_for_again_and_again_reads_no_tests_before_a_job_has_failed_for_good() {
    let mut story = Story::new();
    let deploys = |world: &World| world.done("move_service") > 0;
    story.world().script_build(
        JobStage::Test,
        "unit",
        None,
        BuildScript::Passes(TestSummary { passed: 3, ..TestSummary::default() }),
    );
    let commit = story.commit();
    let green = story.push("main", &commit);
    story.sim.run_until(deploys);
    let (calls, page) = reads(&story, green);
    assert_eq!(calls, ["token", "load", "journal", "plan", "hook"]);
    assert!(page.contains("so far") && page.contains("3 passed"), "{page}");
    story.sim.run();
    let (calls, _) = reads(&story, green);
    assert_eq!(calls.iter().filter(|verb| **verb == "job_tests").count(), 1, "{calls:?}");
    assert!(!calls.contains(&"test_cases"), "{calls:?}");
}

#[test]
fn what_has_failed_for_good_is_told_in_full_while_the_run_comes_to_its_end() {
    // Its end comes at once; so it is killed where an equal run has written down the job's end.
    let plays = |killed: Option<usize>| {
        let mut story = Story::new();
        fails(&story, &["adds"]);
        if let Some(number) = killed {
            story.sim.kill_after_call(number);
        }
        let commit = story.commit();
        let id = story.push("main", &commit);
        story.sim.run_until(|world| {
            let jobs = world.stored_run(id).map(|run| run.jobs).unwrap_or_default();
            jobs.iter().any(|state| state.is_settled() && !state.has_succeeded())
        });
        (story, id)
    };
    let calls = plays(None).0.world().calls();
    let appends = calls.iter().enumerate().filter(|(_, call)| call.verb == "append");
    let ended = appends.map(|(number, _)| number).rev().nth(1).expect("the job's end");
    let (story, id) = plays(Some(ended + 1));
    assert!(!story.run(id).status.is_terminal());
    let (calls, page) = reads(&story, id);
    assert_eq!(calls, ["token", "load", "journal", "plan", "hook", "job_tests"]);
    assert!(page.contains("cart › adds") && page.contains("left: &#60;b&#62;1"), "{page}");
}

#[test]
fn what_a_run_comes_from_is_a_link_to_its_forge() {
    let mut story = Story::new();
    let run = story.play();
    let commit = format!("https://github.com/acme/web/commit/{}", run.source.commit);
    let page = look(&story, &format!("/runs/{}", run.id)).body;
    assert!(page.contains(&format!("href=\"{commit}\"")), "{page}");
    assert!(page.contains("href=\"https://github.com/acme/web/tree/main\""), "{page}");
    let page = look(&story, &format!("/commits/{}", run.source.commit)).body;
    assert!(page.contains(&format!("href=\"{commit}\"")), "{page}");
    let (_, shown) = get(&story.world(), &format!("/v1/runs/{}", run.id));
    assert_eq!(shown["commit_url"], json!(commit));
}

#[test]
fn the_log_of_a_check_that_is_a_job_is_read_like_any_other() {
    let mut story = Story::new();
    let file = format!("{PIPELINE}      - job: {{ name: smoke, buildspec: ci/unit.yml, timeout: 10m }}\n");
    let commit = story.commit_with(&[("pushway.yml", &file)]);
    let run = story.play_commit(&commit);
    let check = story.world().builds().into_iter().find(|build| build.request.job.stage == JobStage::Check);
    let stream = check.expect("it was built").id;
    story.world().add_log(&LogPointer { group: "/pushway/builds".into(), stream }, &["all is well"]);
    let (_, jobs) = get(&story.world(), &format!("/v1/runs/{}/jobs", run.id));
    assert_eq!((&jobs["checks"][0]["job"]["name"], &jobs["jobs"][2]), (&json!("0-1-smoke"), &json!(null)));
    let (status, log) = get(&story.world(), &format!("/v1/runs/{}/jobs/check/0-1-smoke/log", run.id));
    assert_eq!((status, &log["lines"][0]["text"]), (200, &json!("all is well")));
    let place = format!("/runs/{}/jobs/check/0-1-smoke", run.id);
    let page = look(&story, &format!("/runs/{}", run.id)).body;
    assert!(page.contains(&format!("job smoke: Succeeded; <a href=\"{place}\">its log</a>")), "{page}");
    let page = look(&story, &place);
    assert!(page.status == 200 && page.body.contains("all is well"), "{}", page.body);
    for other in ["0-1-other", "0-2-smoke", "1-1-smoke"] {
        assert_eq!(look(&story, &format!("/runs/{}/jobs/check/{other}", run.id)).status, 404);
    }
}

#[test]
fn what_is_not_there_is_told_by_a_page() {
    let story = Story::new();
    for path in ["/runs/none", "/environments/shop/moon", "/runs/none/jobs/test/unit", "/commits/moon"] {
        let answer = look(&story, path);
        let status = if path.starts_with("/commits") { 400 } else { 404 };
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(answer.body.contains("<main id=\"main\"") && answer.body.contains("href=\"/\""), "{path}");
    }
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let mut story = Story::new();
    let run = story.play();
    let path = format!("/runs/{}?part=main", run.id);
    let mine = session(&story, "read");
    let first = with(&story, &mine, &path, &[]);
    assert!(first.body.trim_start().starts_with("<main id=\"main\""), "{}", first.body);
    let tag = first.header("etag").to_owned();
    let again = with(&story, &mine, &path, &[("if-none-match", &tag)]);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    // Assets may be kept for good, since their names change with them.
    let whole = look(&story, &format!("/runs/{}", run.id)).body;
    let script = whole.split('"').find(|text| text.starts_with("/assets/") && text.contains(".js"));
    let asset = send(&story.world(), &unsigned("GET", script.expect("it has a script"), &[], ""));
    let asset = asset.expect("it answers");
    assert_eq!((asset.status, asset.header("content-type")), (200, "text/javascript; charset=utf-8"));
    assert!(asset.header("cache-control").contains("immutable"));
    let stale = send(&story.world(), &unsigned("GET", "/assets/pushway.0000000000000000.js", &[], ""));
    assert_eq!(stale.expect("it answers").status, 404);
}

#[test]
fn a_page_fits_into_the_first_window_of_a_connection() {
    let mut story = Story::new();
    let run = story.play();
    for path in ["/".to_owned(), format!("/runs/{}", run.id)] {
        let ask = |taken: &str| with(&story, &session(&story, "read"), &path, &[("accept-encoding", taken)]);
        let zipped = ask("br, gzip;q=0.8");
        assert_eq!((zipped.header("content-encoding"), zipped.header("vary")), ("gzip", "accept-encoding"));
        // Base64, which the gateway undoes, of what begins as gzip does (RFC 1952).
        let bytes = zipped.body.len() * 3 / 4;
        assert!(zipped.body.starts_with("H4sI") && bytes < 14_000, "{path}: {bytes} bytes");
        assert!(zipped.header("etag").starts_with("W/\""));
        assert_eq!(ask("br, gzip;q=0").header("content-encoding"), "");
    }
}

/// Sends a form as a browser does, from a page of this site.
fn post(world: &World, cookie: &str, path: &str, form: &str) -> Answer {
    let own = [
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("cookie", cookie),
    ];
    send(world, &unsigned("POST", path, &own, form)).expect("it answers")
}

/// What the forms of a page send back.
fn proof(story: &Story, cookie: &str) -> String {
    let page = with(story, cookie, "/", &[]).body;
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
    rest.split('"').next().expect("its proof").to_owned()
}

#[test]
fn a_session_begins_with_a_token_and_ends_with_it() {
    let story = Story::new();
    let world = story.world();
    let text = token(&world, "ada-laptop", &["read"], 1);
    let signed_in = post(&world, "", "/sign-in", &format!("token={text}&next=%2Fapprovals"));
    assert_eq!((signed_in.status, signed_in.header("location")), (303, "/approvals"));
    let set = signed_in.header("set-cookie");
    for part in ["__Host-pushway=", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    let mine = set.split(';').next().unwrap().to_owned();
    assert!(with(&story, &mine, "/", &[]).body.contains("token:ada-laptop"));
    let wrong = post(&world, "", "/sign-in", "token=pwt_ada-laptop_00&next=%2F");
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    assert!(wrong.body.contains("role=\"alert\""), "{}", wrong.body);
    // Nobody is made to sign in by a page of another site, or as someone else.
    let elsewhere =
        unsigned("POST", "/sign-in", &[("sec-fetch-site", "cross-site")], &format!("token={text}"));
    assert_eq!(send(&world, &elsewhere).expect("it answers").status, 403);
    let out = post(&world, &mine, "/sign-out", &format!("csrf={}", proof(&story, &mine)));
    assert_eq!((out.status, out.header("location")), (303, "/sign-in"));
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    // A token that is revoked ends its sessions.
    let revoke = signed("POST", "ada", "/v1/tokens/ada-laptop/revoke", &[], "");
    send(&world, &revoke).expect("it answers");
    assert_eq!(with(&story, &mine, "/", &[]).status, 303);
    // The API takes no cookies.
    let other = session(&story, "admin");
    assert_eq!(with(&story, &other, "/v1/runs", &[]).status, 401);
}

#[test]
fn a33_an_act_takes_the_form_of_this_very_session_and_the_right_scope() {
    let mut story = Story::new();
    story.play();
    let world = story.world();
    let (may, other, reader) =
        (session(&story, "approve"), session(&story, "approve"), session(&story, "read"));
    let path = "/environments/web/staging/freeze";
    let form = |proof: &str| format!("csrf={proof}&once=1&reason=sale%20%3Cb%3E");
    for bad in [String::new(), proof(&story, &other), proof(&story, &reader)] {
        let answer = post(&world, &may, path, &form(&bad));
        assert_eq!((answer.status, answer.header("content-type")), (403, "text/html; charset=utf-8"));
    }
    let crossing = unsigned(
        "POST",
        path,
        &[("cookie", &may), ("origin", "https://evil.example")],
        &form(&proof(&story, &may)),
    );
    assert_eq!(send(&world, &crossing).expect("it answers").status, 403);
    let refused = post(&world, &reader, path, &form(&proof(&story, &reader)));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("scope approve"), "{}", refused.body);
    assert!(world.environment_records().iter().all(|record| record.freeze.is_none()));
    let done = post(&world, &may, path, &form(&proof(&story, &may)));
    assert_eq!((done.status, done.header("location")), (303, "/environments/web/staging"));
    let record = world.environment_records().into_iter().find(|record| record.freeze.is_some());
    let freeze = record.and_then(|record| record.freeze).expect("it is frozen");
    assert!(freeze.by.starts_with("token:approve-") && freeze.reason == "sale <b>", "{freeze:?}");
    // A second click is the same order, and the audit list has it once.
    let again = post(&world, &may, path, &form(&proof(&story, &may)));
    assert_eq!(again.status, 303);
    assert_eq!(world.audit().iter().filter(|entry| entry.operation == "freeze").count(), 1);
    let page = with(&story, &may, "/environments/web/staging", &[]).body;
    assert!(page.contains("sale &#60;b&#62;") && page.contains("/unfreeze\""), "{page}");
    // Another act from pages of the same version is an order of its own, whatever its words are.
    for known in ["production", "canary"] {
        let path = format!("/v1/environments/web/{known}/protect");
        send(&world, &signed("POST", "ada", &path, &[], r#"{"required":1}"#)).expect("it answers");
    }
    let other_place = post(&world, &may, "/environments/web/production/freeze", &form(&proof(&story, &may)));
    assert_eq!(other_place.status, 303, "{}", other_place.body);
    let words = format!("csrf={}&once=1&reason=true", proof(&story, &may));
    let other_words = post(&world, &may, "/environments/web/canary/freeze", &words);
    assert_eq!(other_words.status, 303, "{}", other_words.body);
    // Whoever may not act is offered nothing.
    let page = with(&story, &reader, "/environments/web/staging", &[]).body;
    assert!(!page.contains("/unfreeze\""), "{page}");
}
