//! One answer over HTTP against what a check wants of it.

use serde_json::Value;

use super::{Sample, shown};
use crate::plan::{HttpCheck, VersionProof};
use crate::ports::{ProbeAnswer, Probed};

/// Judges one answer, or its absence.
pub fn judge_http(check: &HttpCheck, probed: &Probed) -> Sample {
    let answer = match probed {
        Probed::Answer(answer) => answer,
        Probed::Nothing(why) => return Sample::Bad(format!("no answer: {why}")),
        Probed::Refused(why) => return Sample::Bad(format!("not probed: {why}")),
    };
    let status = answer.status;
    if status != check.status {
        return Sample::Bad(format!("status {status}, not {}{}", check.status, redirect(check, answer)));
    }
    if let Some(other) = check.version.as_ref().and_then(|proof| other_version(proof, answer)) {
        return Sample::Other(other);
    }
    let missing = missing_header(check, answer)
        .or_else(|| missing_text(check, answer))
        .or_else(|| other_json(check, answer));
    match missing {
        Some(missing) => Sample::Bad(format!("status {status}, but {missing}")),
        None => Sample::Good(format!("status {status}")),
    }
}

fn redirect(check: &HttpCheck, answer: &ProbeAnswer) -> String {
    match header(answer, "location") {
        Some(location) if !check.follow => {
            format!(", a redirect to {}; `follow: true` would follow it", shown(location))
        }
        _ => String::new(),
    }
}

fn header<'a>(answer: &'a ProbeAnswer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What shows that another version answered; an answer that shows no version is of one that knew none.
fn other_version(proof: &VersionProof, answer: &ProbeAnswer) -> Option<String> {
    let (place, equals, found) = match proof {
        VersionProof::Header { name, equals } => {
            (format!("header {name}"), equals, header(answer, name).map(str::to_owned))
        }
        VersionProof::Json { pointer, equals } => {
            (format!("JSON {pointer}"), equals, json(answer).ok().and_then(|json| value_at(&json, pointer)))
        }
    };
    match found {
        Some(found) if found == *equals => None,
        Some(found) => {
            Some(format!("another version answers: {place} is {}, not {}", shown(&found), shown(equals)))
        }
        None => Some(format!("the answer shows no version: it has no {place}")),
    }
}

fn missing_header(check: &HttpCheck, answer: &ProbeAnswer) -> Option<String> {
    check.header.iter().find_map(|(name, wanted)| match header(answer, name) {
        Some(value) if value.contains(wanted) => None,
        Some(value) => Some(format!("header {name} is {}, without {}", shown(value), shown(wanted))),
        None => Some(format!("there is no header {name}")),
    })
}

fn missing_text(check: &HttpCheck, answer: &ProbeAnswer) -> Option<String> {
    let wanted = check.body_contains.as_ref().filter(|wanted| !answer.body.contains(wanted.as_str()))?;
    let of = if answer.is_whole { "the body" } else { "the beginning of the body" };
    Some(format!("{of} has no {}", shown(wanted)))
}

fn other_json(check: &HttpCheck, answer: &ProbeAnswer) -> Option<String> {
    if check.json.is_empty() {
        return None;
    }
    let json = match json(answer) {
        Ok(json) => json,
        Err(why) => return Some(why),
    };
    check.json.iter().find_map(|(pointer, wanted)| match value_at(&json, pointer) {
        Some(value) if value == *wanted => None,
        Some(value) => Some(format!("JSON {pointer} is {}, not {}", shown(&value), shown(wanted))),
        None => Some(format!("the body has nothing at JSON {pointer}")),
    })
}

fn json(answer: &ProbeAnswer) -> Result<Value, String> {
    if !answer.is_whole {
        return Err("the body is too long to be read as JSON".to_owned());
    }
    serde_json::from_str(&answer.body).map_err(|error| format!("the body is not JSON: {error}"))
}

/// The value at a pointer as text: a text as it is, anything else as JSON writes it.
fn value_at(json: &Value, pointer: &str) -> Option<String> {
    json.pointer(pointer).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: &Value) -> HttpCheck {
        let mut check = serde_json::json!({
            "url": "https://web.example.com/", "status": 200, "attempts": 5, "need": 2,
            "interval_seconds": 1, "timeout_seconds": 1,
        });
        for (key, value) in more.as_object().unwrap() {
            check[key] = value.clone();
        }
        serde_json::from_value(check).unwrap()
    }

    fn answer(body: &str, headers: &[(&str, &str)]) -> Probed {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(header).collect();
        Probed::Answer(ProbeAnswer {
            status: 200,
            headers,
            body: body.to_owned(),
            is_whole: true,
            ..ProbeAnswer::default()
        })
    }

    fn said(more: &Value, body: &str, headers: &[(&str, &str)]) -> String {
        match judge_http(&check(more), &answer(body, headers)) {
            Sample::Good(said) => format!("good: {said}"),
            Sample::Bad(said) | Sample::NoData(said) => format!("bad: {said}"),
            Sample::Other(said) => format!("other: {said}"),
        }
    }

    #[test]
    fn what_a_check_wants_is_found_or_its_absence_is_told() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let header = json(r#"{ "header": { "content-type": "json" } }"#);
        let body = json(r#"{ "body_contains": "up" }"#);
        let values = json(r#"{ "json": { "/db/ready": "true", "/name": "web" } }"#);
        let good = r#"{"db":{"ready":true},"name":"web"}"#;
        let all = [
            said(&header, "", &[("content-type", "application/json")]),
            said(&header, "", &[("content-type", "text/html")]),
            said(&header, "", &[]),
            said(&body, "it is up", &[]),
            said(&body, "down", &[]),
            said(&values, good, &[]),
            said(&values, r#"{"db":{"ready":false}}"#, &[]),
            said(&values, r#"{"db":{"ready":true}}"#, &[]),
            said(&values, "<html>", &[]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        good: status 200
        bad: status 200, but header content-type is "text/html", without "json"
        bad: status 200, but there is no header content-type
        good: status 200
        bad: status 200, but the body has no "up"
        good: status 200
        bad: status 200, but JSON /db/ready is "false", not "true"
        bad: status 200, but the body has nothing at JSON /name
        bad: status 200, but the body is not JSON: expected value at line 1 column 1
        "#);
    }

    #[test]
    fn f34_an_answer_of_another_version_is_told_from_a_bad_one() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let header = json(r#"{ "version": { "header": { "name": "x-version", "equals": "2" } } }"#);
        let body = json(r#"{ "version": { "json": { "pointer": "/v", "equals": "2" } } }"#);
        let all = [
            said(&header, "", &[("x-version", "2")]),
            said(&header, "", &[("x-version", "1")]),
            said(&header, "", &[]),
            said(&body, r#"{"v":2}"#, &[]),
            said(&body, r#"{"v":"1"}"#, &[]),
            said(&body, "no JSON", &[]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        good: status 200
        other: another version answers: header x-version is "1", not "2"
        other: the answer shows no version: it has no header x-version
        good: status 200
        other: another version answers: JSON /v is "1", not "2"
        other: the answer shows no version: it has no JSON /v
        "#);
    }

    #[test]
    fn a28_what_a_server_says_is_shown_escaped_and_cut() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let header = json(r#"{ "header": { "server": "web" } }"#);
        let evil = "\u{1b}[31m\r\n\u{202e}<script>alert(1)</script>\"";
        let said = said(&header, "", &[("server", evil)]);
        assert!(said.contains(r#""\u{1b}[31m\r\n\u{202e}<script>alert(1)</script>\"""#), "{said}");
        let long = self::said(&header, "", &[("server", &"x".repeat(100_000))]);
        assert!(long.len() < 400, "{} bytes", long.len());
        let deep = self::said(&json(r#"{ "json": { "/a": "1" } }"#), &"[".repeat(60_000), &[]);
        assert!(deep.contains("not JSON"), "{deep}");
    }
}
