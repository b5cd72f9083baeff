//! A pull request of the usual repository: as the forge knows it, and as its delivery tells of it.

use pushway_core::forge::PullRequestView;
use pushway_core::ids::CommitSha;
use pushway_core::source::PullRequest;
use serde_json::json;

use super::story::{Post, SECRET, Story};

/// Its number.
const NUMBER: u64 = 7;

/// Lets the forge know of the pull request with this head, into main at `base`.
pub fn known(story: &Story, base: &CommitSha, head: &CommitSha, is_fork: bool) {
    let request = PullRequest {
        number: NUMBER,
        base: "main".into(),
        base_commit: base.clone(),
        is_fork,
        approved_by: None,
    };
    story.world().set_pull_request(PullRequestView {
        request,
        head: head.clone(),
        is_open: true,
        title: "mend it".into(),
        author: "Eve".into(),
    });
}

/// The same, and the delivery that tells of it.
pub fn opened(story: &Story, base: &CommitSha, head: &CommitSha, is_fork: bool) -> Post {
    known(story, base, head, is_fork);
    let repository = json!({ "id": 42, "full_name": "acme/web", "default_branch": "main" });
    let from = if is_fork { json!({ "id": 43, "full_name": "eve/web" }) } else { repository.clone() };
    let body = json!({
        "action": "opened", "number": NUMBER, "repository": repository,
        "pull_request": {
            "number": NUMBER, "title": "mend it", "user": { "login": "eve" },
            "head": { "ref": "mend", "sha": head, "repo": from },
            "base": { "ref": "main", "sha": base, "repo": repository },
        },
    });
    Post::github("pull_request", "pr-1", &body.to_string(), SECRET)
}
