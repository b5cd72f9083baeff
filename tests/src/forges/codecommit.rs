//! `CodeCommit` in AWS JSON 1.1 (API version 2015-04-13), as far as Pushway asks it.
//!
//! The operation is named by `X-Amz-Target`; refusals carry the documented names. Signatures are looked at
//! only for the access key they name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pushway_core::ids::CommitSha;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use super::reply::{page, unauthorized};
use super::{FakeRepository, Reply, Seen};

/// How many branches or differences one answer lists.
const PAGE: usize = 100;

pub(super) fn answer(repository: &mut FakeRepository, seen: &Seen, key: &str, url: &str) -> Reply {
    let signed_by = seen.header("authorization").split_once("Credential=").map(|(_, rest)| rest);
    if !signed_by.is_some_and(|by| key.is_empty() || by.starts_with(&format!("{key}/"))) {
        return unauthorized(Provider::Codecommit);
    }
    let target = seen.header("x-amz-target");
    let Some(operation) = target.strip_prefix("CodeCommit_20150413.") else {
        return Reply::aws(400, "UnknownOperationException", target);
    };
    let input = seen.json();
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    if operation != "GetPullRequest" && text("repositoryName") != repository.name {
        let message = format!("{} does not exist", text("repositoryName"));
        return Reply::aws(400, "RepositoryDoesNotExistException", &message);
    }
    let outcome = match operation {
        "GetRepository" => Ok(described(repository, url)),
        "GetFile" => file(repository, text("commitSpecifier"), text("filePath")),
        "GetFolder" => folder(repository, text("commitSpecifier"), text("folderPath")),
        "GetBranch" => match repository.branches.get(text("branchName")) {
            Some(sha) => Ok(json!({ "branch": { "branchName": text("branchName"), "commitId": sha } })),
            None => Err("BranchDoesNotExistException"),
        },
        "ListBranches" => {
            let names: Vec<&String> = repository.branches.keys().collect();
            let (names, next) = listed(names, text("nextToken"));
            Ok(json!({ "branches": names, "nextToken": next }))
        }
        "GetCommit" => commit(repository, text("commitId")),
        "GetDifferences" => differences(repository, &input),
        "GetPullRequest" => pull_request(repository, text("pullRequestId")),
        "PostCommentForComparedCommit" => comment(repository, &input),
        _ => Err("UnknownOperationException"),
    };
    match outcome {
        Ok(output) => Reply::json(200, &without_nulls(output)),
        Err(kind) => Reply::aws(400, kind, "it was refused"),
    }
}

type Outcome = Result<Value, &'static str>;

/// AWS leaves out what is not there.
fn without_nulls(mut output: Value) -> Value {
    if let Some(fields) = output.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    output
}

fn described(repository: &FakeRepository, url: &str) -> Value {
    json!({
        "repositoryMetadata": {
            "accountId": "111122223333", "repositoryId": repository.id, "repositoryName": repository.name,
            "defaultBranch": repository.default_branch, "cloneUrlHttp": repository.clone_url(url),
            "Arn": format!("arn:aws:codecommit:eu-central-1:111122223333:{}", repository.name),
        },
    })
}

/// A commit specifier: the full id, or the name of a branch or tag.
fn specified<'r>(repository: &'r FakeRepository, name: &str) -> Result<&'r CommitSha, &'static str> {
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    match name {
        "" => repository.branches.get(&repository.default_branch),
        name => repository.resolve(name),
    }
    .ok_or("CommitDoesNotExistException")
}

fn file(repository: &FakeRepository, at: &str, path: &str) -> Outcome {
    let sha = specified(repository, at)?;
    let text = repository.file(sha, path).ok_or("FileDoesNotExistException")?;
    Ok(json!({
        "commitId": sha, "blobId": "0".repeat(40), "filePath": path, "fileMode": "NORMAL",
        "fileSize": text.len(), "fileContent": BASE64.encode(text),
    }))
}

fn folder(repository: &FakeRepository, at: &str, path: &str) -> Outcome {
    let sha = specified(repository, at)?;
    let path = path.trim_matches('/');
    let entries = repository.folder(sha, path).ok_or("FolderDoesNotExistException")?;
    let entry = |full: &String| {
        let name = full.rsplit('/').next();
        json!({
            "absolutePath": full, "relativePath": name, "blobId": "0".repeat(40), "fileMode": "NORMAL",
        })
    };
    let of = |wanted: bool| -> Vec<Value> {
        entries.iter().filter(|(_, is_folder)| **is_folder == wanted).map(|(path, _)| entry(path)).collect()
    };
    Ok(json!({
        "commitId": sha, "folderPath": path, "treeId": "0".repeat(40), "files": of(false),
        "subFolders": of(true), "symbolicLinks": [], "subModules": [],
    }))
}

fn commit(repository: &FakeRepository, id: &str) -> Outcome {
    let found = repository.commits.iter().find(|(sha, _)| sha.as_str() == id);
    let (sha, commit) = found.ok_or("CommitIdDoesNotExistException")?;
    let person = json!({ "name": commit.author, "email": "ada@example.com", "date": "1795165951 +0000" });
    Ok(json!({
        "commit": {
            "commitId": sha, "treeId": "0".repeat(40), "parents": commit.parents, "message": commit.message,
            "author": person, "committer": person, "additionalData": "",
        },
    }))
}

/// A page of a list from a token on, and the next page's token.
fn listed<T>(items: Vec<T>, token: &str) -> (Vec<T>, Option<String>) {
    let number = token.strip_prefix("page-").and_then(|text| text.parse().ok()).unwrap_or(1);
    let (items, is_more) = page(items, number, PAGE);
    (items, is_more.then(|| format!("page-{}", number + 1)))
}

fn differences(repository: &FakeRepository, input: &Value) -> Outcome {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let base = specified(repository, text("beforeCommitSpecifier"))?;
    let head = specified(repository, text("afterCommitSpecifier"))?;
    let blob = |path: &str| json!({ "blobId": "0".repeat(40), "path": path, "mode": "100644" });
    let difference = |change: &super::Change<'_>| {
        let letter = match change.word() {
            "added" => "A",
            "removed" => "D",
            _ => "M",
        };
        without_nulls(json!({
            "changeType": letter, "beforeBlob": change.old.map(blob), "afterBlob": change.new.map(blob),
        }))
    };
    let all = repository.changes(base, head).iter().map(difference).collect();
    let (differences, next) = listed(all, text("NextToken"));
    Ok(json!({ "differences": differences, "NextToken": next }))
}

fn pull_request(repository: &FakeRepository, id: &str) -> Outcome {
    let pull = repository.pulls.iter().find(|pull| pull.number.to_string() == id);
    let pull = pull.ok_or("PullRequestDoesNotExistException")?;
    Ok(json!({
        "pullRequest": {
            "pullRequestId": id, "title": pull.title,
            "pullRequestStatus": if pull.is_open { "OPEN" } else { "CLOSED" },
            "authorArn": format!("arn:aws:iam::111122223333:user/{}", pull.author),
            "pullRequestTargets": [{
                "repositoryName": repository.name, "sourceReference": format!("refs/heads/{}", pull.branch),
                "destinationReference": format!("refs/heads/{}", pull.base), "sourceCommit": pull.head,
                "destinationCommit": repository.branches.get(&pull.base),
            }],
        },
    }))
}

fn comment(repository: &mut FakeRepository, input: &Value) -> Outcome {
    let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let (token, content) = (text("clientRequestToken"), text("content"));
    specified(repository, &text("afterCommitId"))?;
    if content.is_empty() {
        return Err("CommentContentRequiredException");
    }
    // The same token again is the same comment; with other content it is refused.
    let token = if token.is_empty() { format!("made-{}", repository.comments.len()) } else { token };
    let known = repository.comments.entry(token.clone()).or_insert_with(|| content.clone());
    if *known != content {
        return Err("IdempotencyParameterMismatchException");
    }
    Ok(json!({
        "repositoryName": repository.name, "afterCommitId": text("afterCommitId"),
        "comment": { "commentId": token, "content": content, "clientRequestToken": token },
    }))
}
