//! What an approval asks, in lines for people: `pushway approvals`, `approve` and `run show` print the same.
//!
//! Messages and names come from whoever pushes; `output` escapes them.

use pushway_core::approval::{ApprovalRequest, ApprovalState, PushLine};
use pushway_core::commits::{CommitLine, CommitRange, Way};
use pushway_core::messages::{approvals_given, who_may};

/// What is asked, and what was said so far.
pub(crate) fn describe(state: &ApprovalState) -> Vec<String> {
    let request = &state.request;
    let mut lines = vec![format!(
        "asks for {}: {}, until {}",
        short(&request.digest),
        approvals_given(state),
        request.deadline
    )];
    let approvers = request.approvers();
    lines.extend((!approvers.is_anyone()).then(|| format!("may be approved by {}", who_may(approvers))));
    lines.extend(state.given.iter().map(|consent| {
        let mark = if state.counts(consent) { "" } else { " (does not count any more)" };
        let comment = consent.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
        format!("approved by {}{mark}{comment}", consent.by)
    }));
    lines.extend(images(request));
    lines.push(match &request.serving {
        Some(serving) => {
            format!("serves since {}: {} of run {}", serving.at, serving.commit.short(), serving.run)
        }
        None => "nothing was deployed there by Pushway yet".into(),
    });
    match &request.commits {
        Some(range) => lines.extend(commits(range)),
        None => lines.extend(pushes(request)),
    }
    if let Some(changes) = &request.changes {
        lines.push(if changes.is_empty() {
            "changes nothing of the task definition".into()
        } else {
            "changes of the task definition:".into()
        });
        lines.extend(changes.iter().map(|change| format!("  {change}")));
    }
    lines.extend(request.notes.iter().map(|note| format!("note: {note}")));
    lines
}

/// A digest's beginning, as people tell it.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// The images; against what Pushway last deployed where nobody could look at the service itself.
fn images(request: &ApprovalRequest) -> impl Iterator<Item = String> {
    request.images.iter().map(|(container, image)| {
        let old = request.serving.as_ref().and_then(|serving| serving.images.get(container));
        match old {
            Some(old) if old == image => format!("{container}: {image} (serves already)"),
            Some(old) if request.changes.is_none() => format!("{container}: {old} -> {image}"),
            _ => format!("{container}: {image}"),
        }
    })
}

fn commits(range: &CommitRange) -> Vec<String> {
    let mut lines: Vec<String> = match range.way {
        Way::Same => vec!["the same commit serves already".into()],
        Way::Forward => Vec::new(),
        Way::Backward => vec!["GOES BACK: what comes is older than what serves".into()],
        Way::Parted => vec![
            "PARTED: what comes does not follow what serves (a rewritten history, or another branch)".into(),
        ],
    };
    let line = |sign: char, known: &CommitLine| {
        format!("{sign} {} {} ({})", known.commit.short(), known.message, known.author)
    };
    lines.extend(range.coming.iter().map(|known| line('+', known)));
    lines.extend(range.has_more.then(|| "+ and older ones".to_owned()));
    lines.extend(range.leaving.iter().map(|known| line('-', known)));
    lines.extend(range.has_more_leaving.then(|| "- and older ones".to_owned()));
    lines
}

fn pushes(request: &ApprovalRequest) -> Vec<String> {
    let line = |push: &PushLine| format!("+ {} {} ({})", push.commit.short(), push.message, push.author);
    let mut lines: Vec<String> = request.pushes.iter().map(line).collect();
    lines.extend(request.has_more.then(|| "  and older ones; see `pushway runs`".to_owned()));
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pushway_core::approval::Consent;
    use serde_json::{Value, json};

    use super::*;

    fn state(change: impl FnOnce(&mut Value)) -> ApprovalState {
        let run = "01890a5d-ac96-774b-bcce-b302099a8057";
        let image = |digit: &str| format!("registry/web@sha256:{}", digit.repeat(64));
        // As it was recorded before commits and changes were shown.
        let mut request = json!({
            "digest": "0123456789abcdef", "required": 2, "deadline": "2026-11-25T12:00:00Z",
            "images": { "web": image("b") },
            "serving": {
                "run": run, "commit": "1".repeat(40), "at": "2026-11-24T12:00:00Z", "images": { "web": image("a") },
            },
            "pushes": [{ "run": run, "commit": "2".repeat(40), "message": "Greet", "author": "Ada" }],
        });
        change(&mut request);
        serde_json::from_value(json!({ "request": request, "given": [], "refusal": null })).unwrap()
    }

    fn shown(state: &ApprovalState) -> String {
        let lines: Vec<String> = describe(state).iter().map(|line| crate::output::clean(line)).collect();
        lines.join("\n").replace(&"a".repeat(64), "a…").replace(&"b".repeat(64), "b…")
    }

    #[test]
    fn a_question_of_old_shows_pushes_and_images() {
        insta::assert_snapshot!(shown(&state(|_| ())), @r"
        asks for 0123456789ab: 0 of 2 approvals, until 2026-11-25T12:00:00Z
        web: registry/web@sha256:a… -> registry/web@sha256:b…
        serves since 2026-11-24T12:00:00Z: 11111111 of run 01890a5d-ac96-774b-bcce-b302099a8057
        + 22222222 Greet (Ada)
        ");
    }

    #[test]
    fn a35_commits_and_changes_are_shown_and_can_not_steer_the_terminal() {
        let line = |digit: &str, message: &str| json!({ "commit": digit.repeat(40), "message": message, "author": "A\u{1b}]0;x\u{7}da" });
        let parted = state(|request| {
            request["commits"] = json!({
                "way": "parted", "coming": [line("3", "Greet\u{1b}[2K\r by name"), line("2", "Mend\u{202e}")],
                "has_more": true, "leaving": [line("1", "Break")],
            });
            request["changes"] = json!(["web: image: a → b", "web: variable COLOUR changed"]);
        });
        insta::assert_snapshot!(shown(&parted), @r"
        asks for 0123456789ab: 0 of 2 approvals, until 2026-11-25T12:00:00Z
        web: registry/web@sha256:b…
        serves since 2026-11-24T12:00:00Z: 11111111 of run 01890a5d-ac96-774b-bcce-b302099a8057
        PARTED: what comes does not follow what serves (a rewritten history, or another branch)
        + 33333333 Greet\u{1b}[2K\u{d} by name (A\u{1b}]0;x\u{7}da)
        + 22222222 Mend\u{202e} (A\u{1b}]0;x\u{7}da)
        + and older ones
        - 11111111 Break (A\u{1b}]0;x\u{7}da)
        changes of the task definition:
          web: image: a → b
          web: variable COLOUR changed
        ");
        let back = state(|request| {
            request["commits"] = json!({ "way": "backward", "coming": [], "leaving": [line("1", "Break")] });
            request["changes"] = json!([]);
            request["notes"] = json!(["the service could not be looked at"]);
        });
        let comment = Some("seen on staging\u{1b}[8m".into());
        let given = vec![Consent { by: "arn:aws:iam::1:user/ada".into(), groups: BTreeSet::new(), comment }];
        let back = ApprovalState { given, ..back };
        insta::assert_snapshot!(shown(&back), @r"
        asks for 0123456789ab: 1 of 2 approvals, until 2026-11-25T12:00:00Z
        approved by arn:aws:iam::1:user/ada: seen on staging\u{1b}[8m
        web: registry/web@sha256:b…
        serves since 2026-11-24T12:00:00Z: 11111111 of run 01890a5d-ac96-774b-bcce-b302099a8057
        GOES BACK: what comes is older than what serves
        - 11111111 Break (A\u{1b}]0;x\u{7}da)
        changes nothing of the task definition
        note: the service could not be looked at
        ");
    }
}
