//! The fakes of the forges answer as the providers do, so that a client that works here works there.

use http::Method;
use pushway_core::source::Provider;
use pushway_tests::forges::{FakeForge, FakeRepository, Misbehaviour};
use serde_json::{Value, json};

const TOKEN: &str = "glpat-1";

fn repository() -> FakeRepository {
    let mut repository = FakeRepository::new(
        "42",
        &[("pushway.yml", "version: 1\n"), ("ci/a b.yml", "x"), ("old.txt", "same")],
    );
    let head = repository.commit("feature/x", "Mend", &[("src/a.rs", "fn a() {}"), ("new.txt", "same")]);
    repository.commits.get_mut(&head).expect("it was made").files.remove("old.txt");
    repository.open_pull(7, "feature/x", &head, true);
    repository
}

async fn get(
    forge: &FakeForge,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, Value, reqwest::header::HeaderMap) {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut request = client.get(format!("{}/{path}", forge.api_url())).header("user-agent", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap_or_default();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), headers)
}

#[tokio::test]
async fn each_provider_tells_the_same_repository_in_its_own_shape() {
    let github = FakeForge::start(Provider::Github, TOKEN, repository()).await;
    let auth = [("authorization", "Bearer glpat-1"), ("accept", "application/vnd.github.raw+json")];
    assert_eq!(get(&github, "repos/octo/web/contents/ci/a%20b.yml?ref=main", &auth).await.1, "x");
    let (_, compared, _) = get(&github, "repos/octo/web/compare/main...feature/x", &auth).await;
    let files = compared["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["previous_filename"] == "old.txt" && file["filename"] == "new.txt"));
    assert_eq!(get(&github, "repos/octo/web/pulls/7", &auth).await.1["head"]["repo"]["fork"], true);

    let gitlab = FakeForge::start(Provider::Gitlab, TOKEN, repository()).await;
    let auth = [("private-token", TOKEN)];
    let file = "projects/octo%2Fweb/repository/files/ci%2Fa%20b.yml/raw?ref=main";
    assert_eq!(get(&gitlab, file, &auth).await.1, "x");
    assert_eq!(get(&gitlab, "projects/octo/web", &auth).await.0, 404, "a path is one segment");
    let one = get(&gitlab, "projects/42/repository/branches?per_page=1", &auth).await;
    assert_eq!((one.1[0]["name"].clone(), one.2["x-next-page"].to_str().unwrap()), (json!("feature/x"), "2"));

    let bitbucket = FakeForge::start(Provider::Bitbucket, TOKEN, repository()).await;
    let auth = [("authorization", "Bearer glpat-1")];
    let stat = get(&bitbucket, "repositories/octo/web/diffstat/feature%2Fx..main", &auth).await.1;
    assert_eq!(stat["size"], 2, "{stat}");
    let pull = get(&bitbucket, "repositories/octo/web/pullrequests/7", &auth).await.1;
    assert_eq!(pull["source"]["commit"]["hash"].as_str().unwrap().len(), 12);

    let gitea = FakeForge::start(Provider::Gitea, TOKEN, repository()).await;
    let auth = [("authorization", "token glpat-1")];
    assert_eq!(get(&gitea, "repos/octo/web/raw/pushway.yml?ref=main", &auth).await.1, "version: 1\n");
    assert_eq!(get(&gitea, "repos/octo/web/compare/main...feature/x", &auth).await.1["total_commits"], 1);
    for forge in [&github, &gitlab, &bitbucket, &gitea] {
        assert_eq!(get(forge, "repos/octo/web", &[("authorization", "Bearer wrong")]).await.0, 401);
    }
}

#[tokio::test]
async fn what_a_test_scripts_goes_wrong_once_and_is_recorded() {
    let forge = FakeForge::start(Provider::Github, TOKEN, repository()).await;
    let auth = [("authorization", "Bearer glpat-1")];
    forge.script(Some(Method::GET), "branches", 1, Misbehaviour::RateLimited(60));
    let (status, _, headers) = get(&forge, "repos/octo/web/branches", &auth).await;
    assert_eq!((status, headers["x-ratelimit-remaining"].to_str().unwrap()), (403, "0"));
    let (status, _, headers) = get(&forge, "repos/octo/web/branches", &auth).await;
    assert_eq!(status, 200);
    let known = headers["etag"].to_str().unwrap();
    let again = [auth[0], ("if-none-match", known)];
    assert_eq!(get(&forge, "repos/octo/web/branches", &again).await.0, 304);
    forge.script(None, "repos", 1, Misbehaviour::Truncated);
    let answer = reqwest::Client::new().get(format!("{}/repos/octo/web", forge.api_url()));
    let answer = answer.header("user-agent", "x").bearer_auth(TOKEN).send().await.unwrap();
    assert!(answer.bytes().await.is_err(), "the connection ends before the promised length");
    assert_eq!(forge.asked().len(), 4);
}

#[tokio::test]
async fn codecommit_answers_in_its_protocol() {
    let mut repository = repository();
    repository.name = "web".into();
    let forge = FakeForge::start(Provider::Codecommit, "AKIATEST", repository).await;
    let call = async |operation: &str, input: Value| {
        let request = reqwest::Client::new().post(forge.api_url()).body(input.to_string());
        let request = request.header("x-amz-target", format!("CodeCommit_20150413.{operation}"));
        let request = request.header("authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20261120/x");
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    let missing = call("GetBranch", json!({ "repositoryName": "web", "branchName": "nope" })).await;
    assert_eq!((missing.0, missing.1["__type"].clone()), (400, json!("BranchDoesNotExistException")));
    let differences = json!({
        "repositoryName": "web", "beforeCommitSpecifier": "main", "afterCommitSpecifier": "feature/x",
    });
    let (_, found) = call("GetDifferences", differences).await;
    assert_eq!(found["differences"].as_array().map(Vec::len), Some(2), "{found}");
}

#[tokio::test]
async fn a_repository_is_cloned_from_its_forge_without_a_git_process() {
    let folder = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let done = std::process::Command::new("sh").current_dir(folder.path()).args(["-ec", script]).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run("git init -q --bare -b main web.git && git clone -q web.git work 2>/dev/null && cd work &&
         git config user.email ada@example.com && git config user.name Ada && git checkout -q -b main &&
         echo 'version: 1' > pushway.yml && git add . && git commit -qm Begin && git tag -am v1 v1 &&
         git push -q origin main v1");
    let forge = FakeForge::start(Provider::Gitea, TOKEN, FakeRepository::new("42", &[])).await;
    forge.serve_git(&folder.path().join("web.git"));
    let clone = format!("git clone -q {} clone && test -f clone/pushway.yml", forge.clone_url());
    let folder = folder.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let done =
            std::process::Command::new("sh").current_dir(folder).args(["-ec", &clone]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    })
    .await
    .unwrap();
    let (main, tagged) = forge.with(|known| (known.branches["main"].clone(), known.tags["v1"].clone()));
    assert_eq!(main, tagged, "an annotated tag is told by its commit");
    assert_eq!(
        forge.with(|known| known.file(&main, "pushway.yml").map(ToOwned::to_owned)).unwrap(),
        "version: 1\n"
    );
}
