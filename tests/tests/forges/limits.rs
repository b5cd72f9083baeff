//! Limits, failures and refusals (row F42), and the statuses that must come through in spite of them.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use pushway_core::forge::{CheckState, CommitStatus};
use pushway_core::ports::Fault;
use pushway_core::source::Provider;
use pushway_tests::forges::Misbehaviour;
use pushway_tests::sim::story::parse;

use crate::{REST, TOKEN, permanent, start, status, tip};

#[tokio::test]
async fn f42_limits_failures_and_refusals_are_told_apart_and_nothing_is_asked_twice() {
    let soon = (Timestamp::now() + SignedDuration::from_secs(90)).to_zoned(jiff::tz::TimeZone::UTC);
    let date = soon.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let main = parse("refs/heads/main");
        for (does, limits) in [
            (Misbehaviour::RateLimited(120), Some(100..=120)),
            (Misbehaviour::SecondaryLimit(30), Some(30..=30)),
            (Misbehaviour::TooManyRequests("7".into()), Some(7..=7)),
            (Misbehaviour::TooManyRequests(date.clone()), Some(61..=90)),
            (Misbehaviour::TooManyRequests("999999".into()), Some(3600..=3600)),
            (Misbehaviour::Broken(500), None),
            (Misbehaviour::Broken(502), None),
            (Misbehaviour::Broken(503), None),
            (Misbehaviour::Truncated, None),
            (Misbehaviour::Garbage, None),
        ] {
            let before = fake.requests().len();
            fake.script(None, "", 1, does.clone());
            let fault = forge.head(&main).await.unwrap_err();
            match (&fault, &limits) {
                (Fault::Limited { seconds, .. }, Some(limits)) => {
                    assert!(limits.contains(seconds), "{provider} {does:?}: {seconds} s");
                }
                (Fault::Retryable(_), None) => {}
                _ => panic!("{provider} {does:?}: {fault:?}"),
            }
            let text = fault.to_string();
            assert!(text.contains("refs/heads/main of octo/web") && !text.contains(TOKEN), "{text}");
            assert_eq!(fake.requests().len(), before + 1, "{provider} {does:?}");
        }
        for does in [Misbehaviour::Unauthorized, Misbehaviour::Forbidden] {
            fake.script(None, "", 1, does);
            let text = permanent(forge.head(&main).await);
            assert!(text.contains("credentials") && text.contains("token"), "{provider}: {text}");
            assert!(!text.contains(TOKEN), "{provider}: {text}");
        }
        fake.script(None, "", 1, Misbehaviour::NotFound);
        assert_eq!(forge.head(&main).await, Ok(None), "{provider}");
        for does in [Misbehaviour::Conflict, Misbehaviour::Unprocessable] {
            fake.script(None, "statuses", 1, does);
            permanent(forge.post_status(&tip(&fake, "main"), &status(CheckState::Success)).await);
        }
        assert!(forge.head(&main).await.unwrap().is_some(), "{provider} is well again");
    }
}

#[tokio::test]
async fn f42_no_other_host_ever_sees_the_token() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let (elsewhere, _) = start(provider).await;
        fake.script(None, "", 1, Misbehaviour::Redirect(format!("{}/x", elsewhere.api_url())));
        let text = permanent(forge.head(&parse("refs/heads/main")).await);
        assert!(text.contains("redirects") && text.contains("mend the hook"), "{provider}: {text}");
        assert_eq!(elsewhere.asked(), Vec::<String>::new(), "{provider}");
        // Within the forge a redirect is a moved repository, and a post stays a post.
        let moved = fake.api_url() + &fake.asked()[0].replace("GET ", "/");
        fake.script(Some(Method::GET), "", 2, Misbehaviour::Redirect(moved.clone()));
        assert!(forge.head(&parse("refs/heads/main")).await.unwrap().is_some(), "{provider}");
        fake.script(Some(Method::GET), "", 3, Misbehaviour::Redirect(moved));
        assert!(permanent(forge.head(&parse("refs/heads/main")).await).contains("without end"), "{provider}");
        let commit = tip(&fake, "main");
        forge.post_status(&commit, &status(CheckState::Pending)).await.unwrap();
        let posted = fake.requests().pop().unwrap();
        let same = format!("{}/{}", fake.api_url(), posted.path);
        fake.script(Some(Method::POST), "", 1, Misbehaviour::Redirect(same));
        forge.post_status(&commit, &status(CheckState::Success)).await.unwrap();
        assert_eq!(fake.with(|repository| repository.statuses.len()), 2, "{provider}");
    }
}

#[tokio::test]
async fn f42_statuses_are_posted_in_each_forges_words_and_can_be_posted_again() {
    for (provider, words) in [
        (Provider::Github, ["pending", "success", "failure", "error"]),
        (Provider::Gitlab, ["pending", "success", "failed", "canceled"]),
        (Provider::Bitbucket, ["INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED"]),
        (Provider::Gitea, ["pending", "success", "failure", "error"]),
    ] {
        let (fake, forge) = start(provider).await;
        let commit = tip(&fake, "main");
        let states = [CheckState::Pending, CheckState::Success, CheckState::Failure, CheckState::Error];
        for (state, word) in states.into_iter().zip(words) {
            fake.script(Some(Method::POST), "statuses", 1, Misbehaviour::Broken(502));
            let posted = forge.post_status(&commit, &status(state)).await;
            assert!(matches!(posted, Err(Fault::Retryable(_))), "{provider}: {posted:?}");
            for _ in 0..2 {
                forge.post_status(&commit, &status(state)).await.unwrap();
            }
            let last = fake.with(|repository| repository.statuses.last().cloned().unwrap());
            assert_eq!(
                (last.context.as_str(), last.state.as_str()),
                ("pushway/web/build", word),
                "{provider}"
            );
            assert_eq!(last.url.as_deref(), Some("https://ci.example.com/runs/1"), "{provider}");
        }
        let long = CommitStatus {
            context: format!("pushway/web/{}", "b".repeat(60)),
            description: "ü".repeat(200),
            url: None,
            ..status(CheckState::Success)
        };
        forge.post_status(&commit, &long).await.unwrap();
        let last = fake.with(|repository| repository.statuses.last().cloned().unwrap());
        assert_eq!(last.description.chars().count(), 140, "{provider}");
        assert!(provider != Provider::Bitbucket || last.url == Some(fake.clone_url()), "a link is demanded");
    }
}
