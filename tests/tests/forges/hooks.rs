//! Webhooks: made once, their health, and what they failed to deliver (rows F3, F4).

use http::Method;
use jiff::{SignedDuration, Timestamp};
use pushway_core::forge::HookHealth;
use pushway_core::signature::Secret;
use pushway_core::source::Provider;
use pushway_tests::forges::{FakeDelivery, Misbehaviour};

use crate::{REST, permanent, start};

#[tokio::test]
async fn a_webhook_is_made_once_renewed_and_removed() {
    let secret = |text: &str| Secret::new(text).unwrap();
    let url = "https://ci.example.com/webhooks/x/web";
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let id = forge.create_hook(url, &secret("first")).await.unwrap();
        let again = forge.create_hook(url, &secret("second")).await.unwrap();
        assert_eq!(id, again, "{provider}: connecting twice must not deliver twice");
        let hooks = fake.with(|repository| repository.hooks.clone());
        assert_eq!(hooks.len(), 1, "{provider}");
        assert_eq!((&hooks[0].id, hooks[0].secret.as_deref()), (&id, Some("second")), "{provider}");
        assert!(hooks[0].is_active && hooks[0].events.len() >= 2, "{provider}: {:?}", hooks[0].events);
        let other = forge.create_hook("https://ci.example.com/other", &secret("x")).await.unwrap();
        assert_ne!(id, other, "{provider}");

        fake.with(|repository| repository.hooks[0].is_active = false);
        forge.update_hook(&id, url, &secret("third")).await.unwrap();
        let hook = fake.with(|repository| repository.hooks[0].clone());
        assert_eq!(hook.secret.as_deref(), Some("third"), "{provider}");
        for _ in 0..2 {
            forge.delete_hook(&id).await.unwrap();
        }
        assert_eq!(forge.hook_health(&id).await, Ok(HookHealth::Gone), "{provider}");
        let text = permanent(forge.update_hook(&id, url, &secret("fourth")).await);
        assert!(text.contains("webhook") && !text.contains("fourth"), "{provider}: {text}");
        // Someone else made it between our look and our post.
        fake.script(Some(Method::POST), "hooks", 1, Misbehaviour::Unprocessable);
        let text = permanent(forge.create_hook(url, &secret("fifth")).await);
        assert!(text.contains("Validation Failed"), "{provider}: {text}");
        // A token that may not manage webhooks does not see them.
        fake.script(Some(Method::GET), "hooks", 1, Misbehaviour::NotFound);
        assert!(permanent(forge.create_hook(url, &secret("x")).await).contains("credentials"), "{provider}");
    }
}

#[tokio::test]
async fn f4_the_health_of_a_webhook_is_the_forges_own_word() {
    for provider in REST {
        let (fake, forge) = start(provider).await;
        let id = forge.create_hook("https://ci.example.com/x", &Secret::new("s").unwrap()).await.unwrap();
        let fresh = forge.hook_health(&id).await.unwrap();
        let tells = matches!(provider, Provider::Github | Provider::Gitlab);
        assert_eq!(fresh, if tells { HookHealth::Healthy } else { HookHealth::Unknown }, "{provider}");
        fake.with(|repository| repository.hooks[0].is_active = false);
        let off = forge.hook_health(&id).await.unwrap();
        assert!(matches!(off, HookHealth::Disabled { until: None, .. }), "{provider}: {off:?}");
    }
    let (fake, forge) = start(Provider::Github).await;
    let id = forge.create_hook("https://ci.example.com/x", &Secret::new("s").unwrap()).await.unwrap();
    fake.with(|repository| repository.hooks[0].last_status = Some(502));
    let failing = HookHealth::Failing { reason: "502".into() };
    assert_eq!(forge.hook_health(&id).await, Ok(failing));

    let (fake, forge) = start(Provider::Gitlab).await;
    let id = forge.create_hook("https://ci.example.com/x", &Secret::new("s").unwrap()).await.unwrap();
    let now = Timestamp::now();
    fake.with(|repository| {
        for _ in 0..4 {
            pushway_tests::forges::gitlab::note_answer(&mut repository.hooks[0], 500, now);
        }
    });
    let until = Some(now + SignedDuration::from_mins(1));
    match forge.hook_health(&id).await.unwrap() {
        HookHealth::Disabled { until: seen, reason } => {
            assert_eq!(seen, until);
            assert!(reason.contains("temporarily_disabled"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn f3_deliveries_that_never_arrived_are_asked_for_again() {
    let (fake, forge) = start(Provider::Github).await;
    let id = forge.create_hook("https://ci.example.com/x", &Secret::new("s").unwrap()).await.unwrap();
    let now = Timestamp::now();
    // More than a page of them, a minute apart; every fiftieth was lost.
    fake.with(|repository| {
        repository.deliveries = (0_u16..130)
            .map(|number| FakeDelivery {
                id: 1000 + u64::from(number),
                guid: format!("guid-{number}"),
                at: now - SignedDuration::from_mins(130 - i64::from(number)),
                event: "push".into(),
                status: if number % 50 == 7 { 0 } else { 202 },
                is_redelivery: false,
            })
            .collect();
    });
    assert_eq!(forge.redeliver(&id, now - SignedDuration::from_mins(60)).await, Ok(1), "only the newest");
    let since = now - SignedDuration::from_hours(72);
    assert_eq!(forge.redeliver(&id, since).await, Ok(2), "those of the second page");
    assert_eq!(forge.redeliver(&id, since).await, Ok(0), "they have arrived");
    assert_eq!(fake.with(|repository| repository.deliveries.len()), 133);
    assert_eq!(forge.redeliver("gone", since).await, Ok(0));
    for provider in [Provider::Gitlab, Provider::Bitbucket, Provider::Gitea] {
        assert_eq!(start(provider).await.1.redeliver("1", since).await, Ok(0), "{provider} can't");
    }
}
