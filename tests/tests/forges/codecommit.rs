//! `CodeCommit` through the ports on AWS, by the same fake repository.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use pushway_aws::{Aws, Settings};
use pushway_core::commits::{Commits, Way};
use pushway_core::forge::{Branches, Changes, CheckState, HookHealth};
use pushway_core::ids::RunId;
use pushway_core::ports::{
    CommitStatuses as _, Differences as _, Fault, Heads as _, ListBranches as _, PullRequests as _,
    ReadCommits as _, RepositoryFiles as _, Webhooks as _,
};
use pushway_core::source::{Hook, Provider};
use pushway_tests::forges::{FakeForge, Misbehaviour, repository_of};
use pushway_tests::sim::story::parse;

use crate::{status, tip};

const KEY: &str = "AKIAEXAMPLE";

async fn start() -> (FakeForge, Aws, Hook) {
    let mut repository = repository_of(Provider::Codecommit);
    repository.name = "web".into();
    let fake = FakeForge::start(Provider::Codecommit, KEY, repository).await;
    let key = Credentials::new(KEY, "secret", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(fake.api_url())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(key))
        .build();
    let hook = fake.hook("web");
    (fake, Aws::with_config(&config, Settings::for_table("unused")), hook)
}

fn run() -> RunId {
    RunId::new(Timestamp::UNIX_EPOCH, [0; 10])
}

#[tokio::test]
async fn codecommit_shows_the_same_repository() {
    let (fake, aws, hook) = start().await;
    let (main, feature) = (tip(&fake, "main"), tip(&fake, "feature/x"));
    let file = async |path: &str| aws.file(run(), &hook, &main, &parse(path)).await;
    assert_eq!(file("ci/a b#?.yml").await.unwrap().as_deref(), Some("x"));
    assert_eq!(file("src/a.rs").await, Ok(None));
    assert!(matches!(file("big.yml").await, Err(Fault::Permanent(text)) if text.contains("64 KiB")));
    assert_eq!(aws.folder(run(), &hook, &main, &parse("ci")).await, Ok(vec![parse("ci/a b#?.yml")]));
    assert_eq!(aws.folder(run(), &hook, &main, &parse("nothing")).await, Ok(Vec::new()));

    let head = aws.head(&hook, &parse("refs/heads/feature/x")).await.unwrap().unwrap();
    assert_eq!((&head.commit, head.author.as_str()), (&feature, "Ada Example"));
    assert_eq!(aws.head(&hook, &parse("refs/heads/gone")).await, Ok(None));
    let Branches::Listed { heads, is_truncated: false, etag: None } =
        aws.branches(&hook, None).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((heads.len(), &heads[&parse("refs/heads/feature/x")]), (2, &feature));
    let Ok(Changes::Files(files)) = aws.changes(run(), &hook, &main, &feature).await else { panic!() };
    assert_eq!(files, ["new.txt", "old.txt", "src/a.rs"]);
    let gone = parse(&"d".repeat(40));
    assert!(matches!(aws.changes(run(), &hook, &gone, &feature).await, Ok(Changes::Unknown(_))));
    assert_eq!(
        (aws.hook_health(&hook).await, aws.redeliver(&hook, Timestamp::UNIX_EPOCH).await),
        (Ok(HookHealth::Unknown), Ok(0))
    );
}

#[tokio::test]
async fn codecommit_lists_all_pages_and_says_where_it_stops() {
    let (fake, aws, hook) = start().await;
    let files: Vec<(String, String)> = (0..250).map(|n| (format!("f{n:03}"), n.to_string())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let base = tip(&fake, "main");
    let head = fake.with(|repository| repository.commit("main", "Many", &files));
    let Ok(Changes::Files(seen)) = aws.changes(run(), &hook, &base, &head).await else { panic!() };
    assert_eq!(seen.len(), 250);
    fake.with(|repository| {
        for number in 0..150 {
            repository.branches.insert(format!("z/{number}"), head.clone());
        }
    });
    let Branches::Listed { heads, is_truncated, .. } = aws.branches(&hook, None).await.unwrap() else {
        panic!()
    };
    assert_eq!((heads.len(), is_truncated), (100, true));
}

#[tokio::test]
async fn f42_a_final_status_becomes_one_comment_however_often_it_is_posted() {
    let (fake, aws, hook) = start().await;
    let commit = tip(&fake, "feature/x");
    // The SDK asks again by itself, so a passing limit is no news to the caller.
    fake.script(None, "PostComment", 1, Misbehaviour::RateLimited(1));
    for state in [CheckState::Pending, CheckState::Success, CheckState::Success] {
        aws.post_status(&hook, &commit, &status(state)).await.unwrap();
    }
    let mut reworded = status(CheckState::Success);
    reworded.description = "built in 41 s".into();
    aws.post_status(&hook, &commit, &reworded).await.unwrap();
    let comments = fake.with(|repository| repository.comments.values().cloned().collect::<Vec<_>>());
    let text = "**pushway/web/build** succeeded: built in 40 s\n\nhttps://ci.example.com/runs/1";
    assert_eq!(comments, [text]);
    let posted = fake.requests().pop().unwrap().json();
    assert!(posted["beforeCommitId"].is_string(), "the comment shows beside the commit's own changes");
    // Another run of the same commit has its own news.
    let again = pushway_core::forge::CommitStatus { url: None, ..status(CheckState::Failure) };
    aws.post_status(&hook, &commit, &again).await.unwrap();
    assert_eq!(fake.with(|repository| repository.comments.len()), 2);
}

#[tokio::test]
async fn a_pull_request_of_another_repository_of_the_account_is_not_this_ones() {
    let (fake, aws, hook) = start().await;
    let pull = aws.pull_request(&hook, 8).await.unwrap().unwrap();
    assert_eq!((&pull.head, pull.request.is_fork, pull.is_open), (&tip(&fake, "feature/x"), false, true));
    assert_eq!((pull.request.base.as_str(), &pull.request.base_commit), ("main", &tip(&fake, "main")));
    assert_eq!(aws.pull_request(&hook, 99).await, Ok(None));
    let other = Hook { repository: "other".into(), ..hook };
    assert_eq!(aws.pull_request(&other, 8).await, Ok(None));
}

#[tokio::test]
async fn codecommit_tells_commits_along_first_parents_as_far_as_it_looks() {
    let (fake, aws, hook) = start().await;
    let base = tip(&fake, "main");
    let grow = |to: usize| {
        for number in 1..=to {
            fake.with(|repository| repository.commit("main", &format!("c{number}\n\nwhy"), &[]));
        }
        tip(&fake, "main")
    };
    let head = grow(3);
    let Ok(Commits::Known(range)) = aws.commits(Some(run()), &hook, &base, &head).await else { panic!() };
    let messages: Vec<_> = range.coming.iter().map(|line| line.message.as_str()).collect();
    assert_eq!((range.way, messages), (Way::Forward, vec!["c3", "c2", "c1"]));
    assert_eq!(range.coming[0].author, "Ada Example");
    let Ok(Commits::Known(back)) = aws.commits(Some(run()), &hook, &head, &base).await else { panic!() };
    assert_eq!((back.way, back.coming.len(), back.leaving.len()), (Way::Backward, 0, 3));
    for (base, head) in [(&head, &tip(&fake, "feature/x")), (&base, &parse(&"d".repeat(40)))] {
        assert!(
            matches!(aws.commits(Some(run()), &hook, base, head).await, Ok(Commits::Unknown(_))),
            "{head}"
        );
    }
    let far = grow(70);
    let before = fake.requests().len();
    assert!(matches!(aws.commits(Some(run()), &hook, &base, &far).await, Ok(Commits::Unknown(_))));
    assert!(fake.requests().len() - before < 100, "it looked on and on");
    fake.script(None, "GetCommit", 9, Misbehaviour::Unauthorized);
    assert!(matches!(aws.commits(Some(run()), &hook, &base, &head).await, Err(Fault::Permanent(_))));
}
