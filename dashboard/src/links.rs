//! Addresses: those of the pages, and which of those from outside may be followed (rows A34, A46).
//!
//! Names in paths are encoded whatever their type promises. Who serves the pages joins the same paths:
//! beside each page (`GET`) stand the acts that its forms ask for (`POST`), all with the fields `csrf` and,
//! where an act is said twice by a double click, `once`, which one rendering of a page has alone.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pushway_core::fact::JobId;
use pushway_core::ids::{CommitSha, EnvironmentName, PipelineName, RunId};

/// Unreserved characters (RFC 3986, section 2.3) stay as they are.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn part(text: impl Display) -> String {
    utf8_percent_encode(&text.to_string(), PART).to_string()
}

/// `/runs/{id}`. `POST …/retry` (field `from`: `start` or `failed`) and `POST …/stop` act on it.
pub fn run(id: &RunId) -> String {
    format!("/runs/{}", part(id))
}

/// `/runs/{id}/jobs/{stage}/{name}`, a job's log. Query: `cursor`, and `from`, the number of its first line.
pub fn job(id: &RunId, job: &JobId) -> String {
    format!("/runs/{}/jobs/{}/{}", part(id), part(job.stage), part(&job.name))
}

/// `/runs/{id}/environments/{name}/approve`, the approval's page. `POST` to it consents (`digest`, `comment`);
/// `…/reject` (`reason`), `…/continue` (`comment`) and `…/go-back` (`reason`) are its siblings.
pub fn ask(id: &RunId, environment: &EnvironmentName, verb: &str) -> String {
    format!("/runs/{}/environments/{}/{}", part(id), part(environment), part(verb))
}

/// `/environments/{pipeline}/{name}`. `POST …/freeze` (`reason`), `…/unfreeze` and `…/rollback` (`to`,
/// `reason`, `accept_irreversible`) act on it; `GET …/rollback?to=` asks for the reason first.
pub fn environment(pipeline: &PipelineName, name: &EnvironmentName) -> String {
    format!("/environments/{}/{}", part(pipeline), part(name))
}

/// `/commits/{sha}`.
pub fn commit(sha: &CommitSha) -> String {
    format!("/commits/{}", part(sha))
}

/// `/sign-in?next=`, from where one comes back to a path of this site.
pub fn sign_in(next: &str) -> String {
    with_query("/sign-in", &[("next", local(next))])
}

/// A page with a query; empty values are left out.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let given = query.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", part(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// An address from outside, if its scheme is one that may be followed: the web's, with a host.
pub fn outside(url: &str) -> Option<&str> {
    let is_web = ["https://", "http://"].iter().any(|scheme| {
        let rest = url.get(..scheme.len()).filter(|head| head.eq_ignore_ascii_case(scheme));
        rest.is_some() && url.len() > scheme.len()
    });
    let is_plain = !url.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    (is_web && is_plain).then_some(url)
}

/// Where to go after signing in: a path of this site, else the overview. What begins with two slashes or a
/// backslash is another site's, and a line break would be a header's.
pub fn local(path: &str) -> &str {
    let is_local = path.starts_with('/')
        && !path[1..].starts_with(['/', '\\'])
        && !path.chars().any(|c| c.is_control() || c == '\\');
    if is_local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a34_only_the_webs_schemes_are_followed() {
        for good in ["https://forge.example/a/b/commit/1", "HTTP://forge.example"] {
            assert_eq!(outside(good), Some(good));
        }
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " https://x",
            "java\nscript:alert(1)",
            "data:text/html,<script>",
            "vbscript:x",
            "//evil.example",
            "https:evil",
            "https://",
            "https://a\r\nset-cookie: x",
            "é://",
        ] {
            assert_eq!(outside(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a46_signing_in_leads_to_this_site_only() {
        assert_eq!(local("/runs/1?page=2#jobs"), "/runs/1?page=2#jobs");
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nset-cookie: x",
            "",
            "\\\\evil",
        ] {
            assert_eq!(local(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn names_can_not_leave_their_place_in_a_path() {
        assert_eq!(with_query("/", &[("branch", "a&b=c#d"), ("author", "")]), "/?branch=a%26b%3Dc%23d");
        assert_eq!(part("../é"), "..%2F%C3%A9");
    }
}
