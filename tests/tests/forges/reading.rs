//! What the clients read: the same repository at every forge.

use std::collections::BTreeSet;

use pushway_core::commits::{CommitRange, Commits, Way};
use pushway_core::forge::{Branches, Changes};
use pushway_core::ids::CommitSha;
use pushway_core::ports::Fault;
use pushway_core::signature::Secret;
use pushway_core::source::Provider;
use pushway_forges::{Connections, Credentials, Forge};
use pushway_tests::forges::Misbehaviour;
use pushway_tests::sim::story::parse;

use crate::{REST, TOKEN, permanent, start, tip};

#[tokio::test]
async fn every_forge_shows_the_same_repository() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let (main, feature) = (tip(&fake, "main"), tip(&fake, "feature/x"));
        let file = async |at: &CommitSha, path: &str| forge.file(at, &parse(path)).await;
        assert_eq!(file(&main, "ci/a b#?.yml").await.unwrap().as_deref(), Some("x"), "{provider}");
        assert_eq!(file(&main, "src/a.rs").await, Ok(None), "{provider}: of another commit");
        assert!(permanent(file(&main, "big.yml").await).contains("64 KiB"), "{provider}");
        let folder = forge.folder(&main, &parse("ci")).await.unwrap();
        assert_eq!(folder, [parse("ci/a b#?.yml")], "{provider}: files, and no folders");
        assert_eq!(forge.folder(&main, &parse("nothing")).await, Ok(Vec::new()), "{provider}");

        let head = forge.head(&parse("refs/heads/feature/x")).await.unwrap().unwrap();
        assert_eq!((&head.commit, head.author.as_str()), (&feature, "Ada Example"), "{provider}");
        assert!(head.message.starts_with("Mend\n"), "{provider}");
        let tag = forge.head(&parse("refs/tags/v1")).await.unwrap().unwrap();
        assert_eq!((tag.commit, tag.message.as_str()), (main, "Begin"), "{provider}");
        for absent in ["refs/heads/v1", "refs/tags/main", "refs/heads/gone/away"] {
            assert_eq!(forge.head(&parse(absent)).await, Ok(None), "{provider} {absent}");
        }
        let seen = forge.repository().await.unwrap().unwrap();
        let hook = fake.hook("web");
        assert_eq!((seen.id, seen.name), (hook.repository_id.unwrap(), hook.repository), "{provider}");
        assert_eq!(
            (seen.default_branch, seen.clone_url),
            (hook.default_branch, hook.clone_url),
            "{provider}"
        );
    }
}

#[tokio::test]
async fn a_repository_that_is_hidden_is_not_taken_for_one_without_the_file() {
    for provider in REST {
        let (fake, _) = start(provider).await;
        let mut hook = fake.hook("web");
        hook.repository = "octo/hidden".into();
        let credentials = Credentials::parse(&Secret::new(TOKEN).unwrap()).unwrap();
        let forge = Forge::new(&Connections::default(), &hook, Some(credentials)).unwrap();
        let text = permanent(forge.file(&tip(&fake, "main"), &parse("pushway.yml")).await);
        assert!(text.contains("octo/hidden") && text.contains("credentials"), "{provider}: {text}");
        assert!(permanent(forge.branches(None).await).contains("octo/hidden"), "{provider}");
        assert!(permanent(forge.head(&parse("refs/heads/main")).await).contains("octo/hidden"), "{provider}");
        assert!(permanent(forge.pull_request(7).await).contains("octo/hidden"), "{provider}");
        assert_eq!(forge.repository().await, Ok(None), "{provider}");
    }
}

#[tokio::test]
async fn a19_a20_a_pull_request_tells_where_its_head_lies_and_where_it_is_now() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let theirs = forge.pull_request(7).await.unwrap().unwrap();
        assert!(theirs.request.is_fork && theirs.is_open, "{provider}");
        assert_eq!(theirs.request.base_commit, tip(&fake, "main"), "{provider}: the base as it is");
        assert_eq!((theirs.request.base.as_str(), theirs.author.as_str()), ("main", "ada"), "{provider}");
        let ours = forge.pull_request(8).await.unwrap().unwrap();
        assert_eq!((ours.request.is_fork, ours.head), (false, tip(&fake, "feature/x")), "{provider}");
        // Whoever approved the head above has not approved this one.
        let pushed = fake.with(|repository| {
            let mut commit = repository.commits[&theirs.head].clone();
            commit.parents = vec![theirs.head.clone()];
            let pushed = repository.add(commit);
            let pull = repository.pulls.iter_mut().find(|pull| pull.number == 7).unwrap();
            (pull.head, pull.is_open) = (pushed.clone(), false);
            pushed
        });
        let now = forge.pull_request(7).await.unwrap().unwrap();
        assert_eq!((now.head, now.is_open), (pushed, false), "{provider}");
        assert_eq!(forge.pull_request(9).await, Ok(None), "{provider}");
    }
}

#[tokio::test]
async fn changes_name_every_path_that_differs_however_the_commits_lie() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let (main, feature) = (tip(&fake, "main"), tip(&fake, "feature/x"));
        let pushed = fake.with(|repository| repository.commit("main", "On", &[("docs/on.md", "on")]));
        let changes = async |base: &CommitSha, head: &CommitSha| match forge.changes(base, head).await {
            Ok(Changes::Files(files)) => files.into_iter().collect::<BTreeSet<_>>(),
            other => panic!("{provider}: {other:?}"),
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let branch = names(&["new.txt", "old.txt", "src/a.rs"]);
        assert_eq!(changes(&main, &feature).await, branch, "{provider}: forward");
        assert_eq!(changes(&feature, &main).await, branch, "{provider}: reset to an ancestor");
        assert_eq!(changes(&main, &main).await, names(&[]), "{provider}: nothing");
        // A force push: what the old head had and the new one has not has changed as well.
        let both = names(&["docs/on.md", "new.txt", "old.txt", "src/a.rs"]);
        assert_eq!(changes(&pushed, &feature).await, both, "{provider}: histories that parted");
        let gone = parse(&"d".repeat(40));
        assert!(matches!(forge.changes(&gone, &feature).await, Ok(Changes::Unknown(_))), "{provider}");
    }
}

#[tokio::test]
async fn changes_that_a_forge_cuts_short_are_unknown() {
    let many = |count: usize| -> Vec<(String, String)> {
        (0..count).map(|number| (format!("f{number}"), number.to_string())).collect()
    };
    for (provider, count, is_known) in [
        (Provider::Github, 299, true),
        (Provider::Github, 300, false),
        (Provider::Gitlab, 999, true),
        (Provider::Gitlab, 1000, false),
        (Provider::Bitbucket, 99, true),
        (Provider::Bitbucket, 101, false),
        (Provider::Gitea, 400, true),
        // Longer than what is read of an answer.
        (Provider::Gitea, 60_000, false),
    ] {
        let (fake, forge) = start(provider).await;
        let files = many(count);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        let base = tip(&fake, "main");
        let head = fake.with(|repository| repository.commit("main", "Many", &files));
        match forge.changes(&base, &head).await {
            Ok(Changes::Files(seen)) => assert!(is_known && seen.len() == count, "{provider} {count}"),
            Ok(Changes::Unknown(_)) => assert!(!is_known, "{provider} {count}"),
            fault => panic!("{provider} {count}: {fault:?}"),
        }
    }
    let (fake, forge) = start(Provider::Gitlab).await;
    fake.with(|repository| repository.compare_times_out = true);
    let changes = forge.changes(&tip(&fake, "main"), &tip(&fake, "feature/x")).await.unwrap();
    assert!(matches!(changes, Changes::Unknown(_)), "{changes:?}");
}

#[tokio::test]
async fn branches_are_listed_over_pages_and_unchanged_only_where_that_is_sure() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let listed = async |etag: Option<&str>| forge.branches(etag).await.unwrap();
        let tags = matches!(provider, Provider::Github | Provider::Gitlab);
        let Branches::Listed { heads, is_truncated: false, etag } = listed(None).await else { panic!() };
        assert_eq!(heads[&parse("refs/heads/feature/x")], tip(&fake, "feature/x"), "{provider}");
        assert_eq!((heads.len(), etag.is_some()), (2, tags), "{provider}");
        if let Some(etag) = etag {
            assert_eq!(listed(Some(&etag)).await, Branches::Unchanged, "{provider}");
            fake.with(|repository| repository.commit("main", "On", &[]));
            let Branches::Listed { heads, .. } = listed(Some(&etag)).await else { panic!("{provider}") };
            assert_eq!(heads[&parse("refs/heads/main")], tip(&fake, "main"), "{provider}");
        }
        let grow = |to: usize| {
            fake.with(|repository| {
                let main = repository.branches["main"].clone();
                for number in repository.branches.len()..to {
                    repository.branches.insert(format!("z/{number:04}"), main.clone());
                }
            });
        };
        // The next branch would lie on a page of its own, and this one would stay the same.
        grow(100);
        let Branches::Listed { heads, etag, .. } = listed(None).await else { panic!() };
        assert_eq!((heads.len(), etag), (100, None), "{provider}");
        grow(251);
        let Branches::Listed { heads, is_truncated, etag } = listed(None).await else { panic!() };
        assert_eq!((heads.len(), is_truncated, etag), (251, false, None), "{provider}");
        grow(1100);
        let Branches::Listed { heads, is_truncated, .. } = listed(None).await else { panic!() };
        assert!(is_truncated && heads.len() < 1100, "{provider}: ten pages are enough");
    }
}

fn first_lines(range: &CommitRange) -> (Vec<&str>, Vec<&str>) {
    (
        range.coming.iter().map(|line| line.message.as_str()).collect(),
        range.leaving.iter().map(|line| line.message.as_str()).collect(),
    )
}

#[tokio::test]
async fn commits_between_two_are_told_newest_first_however_they_lie() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let (main, feature) = (tip(&fake, "main"), tip(&fake, "feature/x"));
        let pushed = fake.with(|repository| repository.commit("main", "On\n\nand on", &[("on.md", "on")]));
        let newer = fake.with(|repository| repository.commit("main", "Further", &[("on.md", "off")]));
        let range = async |base: &CommitSha, head: &CommitSha| match forge.commits(base, head).await {
            Ok(Commits::Known(range)) => range,
            other => panic!("{provider}: {other:?}"),
        };
        let forward = range(&main, &newer).await;
        assert_eq!(forward.way, Way::Forward, "{provider}");
        assert_eq!(first_lines(&forward), (vec!["Further", "On"], vec![]), "{provider}");
        let newest = &forward.coming[0];
        assert_eq!((&newest.commit, newest.author.as_str()), (&newer, "Ada Example"), "{provider}");
        assert_eq!(forward.coming[1].commit, pushed, "{provider}");
        let back = range(&newer, &main).await;
        assert_eq!(
            (back.way, first_lines(&back)),
            (Way::Backward, (vec![], vec!["Further", "On"])),
            "{provider}"
        );
        let parted = range(&newer, &feature).await;
        assert_eq!((parted.way, parted.coming[0].message.as_str()), (Way::Parted, "Mend"), "{provider}");
        assert_eq!(first_lines(&parted).1, ["Further", "On"], "{provider}");
        let gone = parse(&"d".repeat(40));
        assert!(matches!(forge.commits(&gone, &main).await, Ok(Commits::Unknown(_))), "{provider}");
        fake.script(None, "", 1, Misbehaviour::Broken(502));
        assert!(matches!(forge.commits(&main, &newer).await, Err(Fault::Retryable(_))), "{provider}");
    }
}

#[tokio::test]
async fn of_many_commits_the_newest_twenty_are_told() {
    let few = REST.into_iter().flat_map(|provider| [(provider, 20), (provider, 21)]);
    // GitHub tells the oldest first, a hundred a page.
    let pages = [100, 101, 119, 260].map(|count| (Provider::Github, count));
    for (provider, count) in few.chain(pages) {
        let (fake, forge) = start(provider).await;
        let base = tip(&fake, "main");
        for number in 1..=count {
            fake.with(|repository| repository.commit("main", &format!("c{number}"), &[]));
        }
        let Ok(Commits::Known(range)) = forge.commits(&base, &tip(&fake, "main")).await else {
            panic!("{provider} {count}")
        };
        let newest: Vec<String> = (0..20).map(|back| format!("c{}", count - back)).collect();
        assert_eq!(first_lines(&range).0, newest, "{provider} {count}");
        assert_eq!(range.has_more, count > 20, "{provider} {count}");
    }
}
