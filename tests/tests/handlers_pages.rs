//! The dashboard's pages as the API serves them: who may look, what is there, and with which headers.

use pushway_core::fact::LogPointer;
use pushway_tests::sim::people::{Answer, send, signed, unsigned};
use pushway_tests::sim::story::Story;

fn look(story: &Story, path: &str) -> Answer {
    send(&story.world(), &signed("GET", "ada", path, &[], "")).expect("it answers")
}

#[test]
fn whoever_has_not_said_who_they_are_is_led_to_the_sign_in_and_back() {
    let mut story = Story::new();
    let run = story.play();
    let stranger = |path: &str| send(&story.world(), &unsigned("GET", path, &[], "")).expect("it answers");
    let answer = stranger(&format!("/runs/{}", run.id));
    assert_eq!((answer.status, answer.body.as_str()), (303, ""));
    assert_eq!(answer.header("location"), format!("/login?next=%2Fruns%2F{}", run.id));
    // The script is not led anywhere: it would take the sign-in for what it asked for.
    assert_eq!(stranger(&format!("/runs/{}?part=main", run.id)).status, 401);
    let sign_in = stranger("/login?next=//evil.example");
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
    let first = look(&story, &path);
    assert!(first.body.trim_start().starts_with("<main id=\"main\""), "{}", first.body);
    let tag = first.header("etag").to_owned();
    let again = send(&story.world(), &signed("GET", "ada", &path, &[("if-none-match", &tag)], ""));
    let again = again.expect("it answers");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    // Assets may be kept for good, since their names change with them.
    let whole = look(&story, &format!("/runs/{}", run.id)).body;
    let script = whole.split('"').find(|text| text.starts_with("/assets/") && text.ends_with(".js"));
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
        let ask = |taken: &str| {
            let request = signed("GET", "ada", &path, &[("accept-encoding", taken)], "");
            send(&story.world(), &request).expect("it answers")
        };
        let zipped = ask("br, gzip;q=0.8");
        assert_eq!((zipped.header("content-encoding"), zipped.header("vary")), ("gzip", "accept-encoding"));
        // Base64, which the gateway undoes, of what begins as gzip does (RFC 1952).
        let bytes = zipped.body.len() * 3 / 4;
        assert!(zipped.body.starts_with("H4sI") && bytes < 14_000, "{path}: {bytes} bytes");
        assert!(zipped.header("etag").starts_with("W/\""));
        assert_eq!(ask("br, gzip;q=0").header("content-encoding"), "");
    }
}

#[test]
fn no_act_is_offered_before_its_form_leads_somewhere() {
    let mut story = Story::new();
    let run = story.play();
    for path in [format!("/runs/{}", run.id), "/".to_owned()] {
        let page = look(&story, &path).body;
        assert!(!page.contains("method=\"post\""), "{path} offers an act");
    }
    let post = send(&story.world(), &unsigned("POST", &format!("/runs/{}/stop", run.id), &[], "{}"));
    assert_eq!(post.expect("it answers").status, 404);
}
