//! The edge of the webhook for every provider: secrets, tenants, events, sizes, and how little it asks.

use jiff::SignedDuration;
use pushway_core::ports::Clock as _;
use pushway_core::signature::{Secret, sign_standard};
use pushway_core::source::Provider;
use pushway_core::testing::World;
use pushway_tests::forges::deliveries::{SAMPLES, Sample, hook, post, providers, world};
use pushway_tests::sim::story::{Answered, Post, SECRET, parse, send};

fn answer(world: &World, post: &Post) -> Answered {
    send(world, post).unwrap_or_else(|error| panic!("{error:?}"))
}

fn counts(world: &World) -> (usize, usize, usize) {
    (world.runs().len(), world.delivery_count(), world.execution_count())
}

#[test]
fn a9_both_secrets_count_while_the_overlap_of_a_rotation_lasts() {
    for provider in providers() {
        let world = world();
        let body = SAMPLES.iter().find(|sample| sample.provider == provider).unwrap().body();
        let event = SAMPLES.iter().find(|sample| sample.provider == provider).unwrap().event;
        let status = |secret: &str, id: &str| {
            answer(&world, &post(provider, "web", event, id, secret, &body, world.now())).status
        };
        world.add_secret("pushway/web", "the new one");
        let until = world.now() + SignedDuration::from_hours(1);
        assert_eq!(status(SECRET, "d1"), 401, "{provider}: no overlap was asked for");
        world.add_hook(pushway_core::source::Hook { old_secret_until: Some(until), ..hook(provider) });
        assert_eq!(status(SECRET, "d2"), 202, "{provider}");
        assert_eq!(status("the new one", "d3"), 200, "{provider}");
        assert_eq!(status("neither", "d4"), 401, "{provider}");
        world.set_now(until - SignedDuration::from_secs(1));
        assert_eq!(status(SECRET, "d5"), 200, "{provider}");
        world.set_now(until);
        assert_eq!(status(SECRET, "d6"), 401, "{provider}");
        assert_eq!(status("the new one", "d7"), 200, "{provider}");
    }
}

#[test]
fn a_delivery_takes_the_fewest_calls() {
    for sample in SAMPLES.iter().filter(|sample| sample.starts.len() == 1 && sample.name == "push") {
        let world = world();
        answer(&world, &sample.post(&world, "d1"));
        let verbs: Vec<&str> = world.calls().iter().map(|call| call.verb).collect();
        assert_eq!(verbs, ["hook", "secret", "record_run", "start_execution"], "{sample:?}");
        answer(&world, &sample.post(&world, "d1"));
        assert_eq!(world.call_count(), 7, "a redelivery starts nothing");
    }
}

#[test]
fn a8_no_hook_opens_for_another_ones_secret_body_or_provider() {
    let world = world();
    for provider in providers() {
        world.add_secret(&format!("pushway/other-{provider}"), &format!("other {provider}"));
        world.add_hook(pushway_core::source::Hook {
            id: parse("other"),
            repository: "octo/other".into(),
            repository_id: Some(parse("9")),
            secret: Some(format!("pushway/other-{provider}")),
            ..hook(provider)
        });
    }
    for sample in Sample::starting() {
        let own = format!("other {}", sample.provider);
        sample.post(&world, "d1");
        let posts = providers().flat_map(|provider| {
            // Its body under its own headers, at every hook, signed with every other hook's secret.
            ["web", "other"].map(|id| {
                let mut post =
                    post(sample.provider, id, sample.event, "d1", &own, &sample.body(), world.now());
                post.provider = provider.to_string();
                (provider, id, post)
            })
        });
        for (provider, id, post) in posts {
            let status = answer(&world, &post).status;
            // The right secret of another repository's hook is let in, and then the repository is compared.
            let wanted = if provider == sample.provider && id == "other" { 400 } else { 401 };
            assert_eq!(status, wanted, "{sample:?} at {provider} {id}");
        }
    }
    assert_eq!(counts(&world), (0, 0, 0));
}

#[test]
fn a4_an_event_and_a_body_that_do_not_belong_together_start_nothing() {
    for provider in providers().filter(|provider| *provider != Provider::Git) {
        let own: Vec<&Sample> = SAMPLES.iter().filter(|sample| sample.provider == provider).collect();
        let shape = |sample: &Sample| {
            sample.name.split('_').next().map(|word| match word {
                // A tag is pushed, and one provider says so by another event.
                "tag" if provider == Provider::Gitlab => "tag",
                "tag" | "branch" | "push" => "push",
                other => other,
            })
        };
        let pairs = own.iter().flat_map(|event| own.iter().map(move |body| (event, body)));
        for (event, body) in pairs.filter(|(event, body)| shape(event) != shape(body)) {
            let world = world();
            event.post(&world, "d0");
            let spoof = post(provider, "web", event.event, "d1", SECRET, &body.body(), world.now());
            let answered = answer(&world, &spoof);
            let is_same = event.event == body.event;
            assert!(is_same || matches!(answered.status, 200 | 400), "{event:?} {body:?}: {answered:?}");
            assert!(is_same || world.runs().is_empty(), "{event:?} with the body of {body:?}: {answered:?}");
        }
    }
}

#[test]
fn a5_gitlabs_signing_token_binds_id_and_time_and_takes_the_place_of_the_plain_one() {
    use base64::Engine as _;
    let world = world();
    let key = b"thirty-two bytes of a signing key";
    let token = format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(key));
    world.add_secret("pushway/web", &token);
    let body = SAMPLES.iter().find(|sample| sample.provider == Provider::Gitlab).unwrap().body();
    let signed = |id: &str, age: i64, plain: Option<&str>| {
        let stamp = (world.now().as_second() - age).to_string();
        let signature = sign_standard(&Secret::new(*key).unwrap(), id, &stamp, body.as_bytes());
        let mut post = post(Provider::Gitlab, "web", "Push Hook", id, "x", &body, world.now());
        post.headers.retain(|(name, _)| !matches!(name.as_str(), "x-gitlab-token" | "webhook-timestamp"));
        post.headers.push(("webhook-timestamp".into(), stamp));
        post.headers.push(("webhook-signature".into(), signature));
        post.headers.extend(plain.map(|plain| ("x-gitlab-token".to_owned(), plain.to_owned())));
        post
    };
    assert_eq!(answer(&world, &signed("d1", 301, None)).status, 401, "stale");
    assert_eq!(answer(&world, &signed("d1", -301, None)).status, 401, "from the future");
    let mut other = signed("d1", 0, None);
    other.headers.iter_mut().filter(|(name, _)| name == "webhook-id").for_each(|(_, id)| *id = "d2".into());
    assert_eq!(answer(&world, &other).status, 401, "the id is signed");
    // The token itself in the plain header opens nothing: it is no password.
    let mut plain = signed("d1", 0, Some(&token));
    plain.headers.retain(|(name, _)| name != "webhook-signature");
    assert_eq!(answer(&world, &plain).status, 401);
    assert_eq!(counts(&world), (0, 0, 0));
    let taken = answer(&world, &signed("d1", 299, None)).run();
    assert_eq!(world.stored_run(taken).unwrap().source.delivery.as_str(), "d1");
    world.add_secret("pushway/web", "whsec_not base64");
    assert_eq!(answer(&world, &signed("d3", 0, None)).status, 401, "a token without a key signs nothing");
}

#[test]
fn a10_f6_bodies_over_the_cap_are_refused_before_anything_is_asked() {
    const MIB: usize = 1024 * 1024;
    let world = world();
    for size in [5 * MIB + 1, 7 * MIB, 11 * MIB, 26 * MIB] {
        for is_base64 in [false, true] {
            let text = "A".repeat(if is_base64 { size.div_ceil(3) * 4 } else { size });
            let mut large = post(Provider::Github, "web", "push", "d1", SECRET, "", world.now());
            (large.body, large.is_base64) = (text, is_base64);
            // What the length is said to be counts for nothing.
            large.headers.push(("content-length".into(), "2".into()));
            assert_eq!(answer(&world, &large).status, 413, "{size}, base64: {is_base64}");
        }
    }
    assert_eq!(world.call_count(), 0);
    let full = format!("{}{}", SAMPLES[0].body(), " ".repeat(5 * MIB - SAMPLES[0].body().len()));
    let full = post(Provider::Github, "web", "push", "d1", SECRET, &full, world.now());
    assert_eq!(answer(&world, &full).status, 202, "the cap itself is taken");
}
