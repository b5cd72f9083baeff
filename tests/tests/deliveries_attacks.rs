//! Attacks at the edge: the corpus of forged, broken and spoofed deliveries, and what no table can hold.
//!
//! Each file of `tests/attacks/<family>/` is a request as API Gateway hands it over, the status it is
//! answered with, and how many writes it leads to. The same files seed the fuzzers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use pushway_core::ports::Clock as _;
use pushway_core::run::Status;
use pushway_core::source::{Hook, Provider};
use pushway_core::testing::World;
use pushway_tests::forges::deliveries::{SAMPLES, hook, post, providers, world};
use pushway_tests::repository::root;
use pushway_tests::sim::invoke;
use pushway_tests::sim::story::{Post, SECRET, Story, parse, push_body, send};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    request: Value,
    status: u16,
    writes: usize,
}

/// The files of the corpus, family by family.
fn corpus() -> Vec<(PathBuf, Attack)> {
    let files = |folder: PathBuf| {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
        entries.sort();
        entries
    };
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a text");
        let attack =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, attack)
    };
    files(root().join("tests/attacks")).into_iter().flat_map(files).map(read).collect()
}

/// The samples' world, with two hooks that an administrator got wrong.
fn attacked() -> World {
    let world = world();
    world.add_secret("pushway/empty", "");
    for provider in providers() {
        world.add_hook(Hook { id: parse("bare"), secret: None, ..hook(provider) });
        let empty = Some("pushway/empty".to_owned());
        world.add_hook(Hook { id: parse("empty"), secret: empty, ..hook(provider) });
    }
    world
}

fn writes(world: &World) -> usize {
    world.runs().len() + world.delivery_count() + world.execution_count()
}

#[test]
fn a1_to_a18_and_a11_nothing_in_the_corpus_starts_or_writes_anything() {
    let corpus = corpus();
    assert!(corpus.len() > 400, "the corpus is there");
    let mut bodies_of_401 = BTreeMap::new();
    for (path, attack) in corpus {
        let (path, world) = (path.display(), attacked());
        let answered = invoke(&world, "webhook", attack.request).unwrap_or_else(|e| panic!("{path}: {e:?}"));
        assert_eq!(answered["statusCode"], attack.status, "{path}: {answered}");
        assert_eq!(writes(&world), attack.writes, "{path}: {answered}");
        let body = answered["body"].as_str().unwrap().to_owned();
        assert!(body.len() < 1_000, "{path}: {body}");
        assert!(!body.contains(SECRET), "{path}: {body}");
        if attack.status == 401 {
            bodies_of_401.insert(body, path.to_string());
        }
    }
    assert_eq!(bodies_of_401.len(), 1, "a forger learns nothing from the answer: {bodies_of_401:?}");
}

#[test]
fn a12_depth_and_number_of_what_is_in_a_body_are_bounded() {
    for provider in providers() {
        let world = world();
        let sample = SAMPLES.iter().find(|sample| sample.provider == provider).unwrap();
        let send_body = |body: &str| {
            send(&world, &post(provider, "web", sample.event, "d1", SECRET, body, world.now())).unwrap()
        };
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(send_body(&deep).status, 400, "{provider}");
        let nested = sample.body().replacen('{', &format!("{{\"x\":{deep},"), 1);
        // What nobody reads is skipped without a stack; the one reader that knows all fields refuses it.
        let wanted = if provider == Provider::Git { 400 } else { 202 };
        assert_eq!(send_body(&nested).status, wanted, "{provider}");
    }
    let world = world();
    // No commit at all and ten thousand of them are pushes as any other.
    let gitlab = SAMPLES.iter().find(|sample| sample.provider == Provider::Gitlab).unwrap();
    let mut body: Value = serde_json::from_str(&gitlab.body()).unwrap();
    let commit = body["commits"][0].clone();
    for commits in [vec![], vec![commit; 10_000]] {
        body["commits"] = json!(commits);
        let id = format!("d{}", commits.len());
        let post = post(Provider::Gitlab, "web", "Push Hook", &id, SECRET, &body.to_string(), world.now());
        assert!(send(&world, &post).unwrap().body["run_id"].is_string());
    }
    assert_eq!(world.runs().len(), 1);
}

/// One change of a JSON document: at which of its places, and into what.
#[derive(Debug, Clone)]
enum Mutation {
    Remove,
    Replace(Value),
    Wrap,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[0-9a-f]{12,64}".prop_map(Value::from),
        "refs/(heads|tags)/[a-z./@{~-]{0,12}".prop_map(Value::from),
        Just(json!("0".repeat(40))),
        Just(json!([])),
        Just(json!({})),
    ];
    prop_oneof![Just(Mutation::Remove), value.prop_map(Mutation::Replace), Just(Mutation::Wrap)]
}

/// The places of a document, as JSON pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| places(value, &format!("{at}/{}", name.replace('/', "~1")), into));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at_item, value)| places(value, &format!("{at}/{at_item}"), into));
        }
        _ => {}
    }
}

fn mutate(document: &mut Value, place: &str, mutation: Mutation) {
    match mutation {
        Mutation::Replace(value) => *document.pointer_mut(place).expect("it is a place") = value,
        Mutation::Wrap => {
            let target = document.pointer_mut(place).expect("it is a place");
            *target = json!([target.take()]);
        }
        Mutation::Remove => {
            let Some((parent, name)) = place.rsplit_once('/') else { return };
            match document.pointer_mut(parent) {
                Some(Value::Object(fields)) => drop(fields.remove(&name.replace("~1", "/"))),
                Some(Value::Array(items)) => drop(items.remove(name.parse().expect("an index"))),
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is changed in a sample, it is answered, and a run that it starts is one it could tell of.
    #[test]
    fn a12_a_sample_with_any_part_changed_is_answered_and_never_believed_beyond_its_hook(
        which in 0..SAMPLES.len(), changes in proptest::collection::vec((any::<prop::sample::Index>(), mutation()), 1..4),
    ) {
        let sample = &SAMPLES[which];
        let mut document: Value = serde_json::from_str(&sample.body()).unwrap();
        for (at, mutation) in changes {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            mutate(&mut document, &all[at.index(all.len())], mutation);
        }
        let world = world();
        sample.post(&world, "d0");
        let body = document.to_string();
        let post = post(sample.provider, "web", sample.event, "d1", SECRET, &body, world.now());
        let answered = send(&world, &post).unwrap();
        prop_assert!(matches!(answered.status, 200 | 202 | 400), "{:?}: {}", answered, body);
        prop_assert_eq!(answered.status == 202, !world.runs().is_empty());
        for run in world.runs() {
            let source = run.source;
            prop_assert_eq!(source.repository.as_str(), "octo/web");
            prop_assert_eq!(Some(source.repository_id), hook(sample.provider).repository_id);
            prop_assert!(!source.commit.is_zero() && source.before.is_none_or(|before| !before.is_zero()));
        }
    }
}

/// Branches that git allows and a careless shell would run.
const SHELL_TEXTS: [&str; 8] = [
    "zzz\";touch${IFS}canary;#",
    "$(touch${IFS}canary)",
    "`touch${IFS}canary`",
    "a;touch${IFS}canary",
    "a&&touch${IFS}canary",
    "a|touch${IFS}canary",
    "'\"$(touch${IFS}canary)\"'",
    "-x/--upload-pack=touch${IFS}canary",
];

#[test]
fn a14_a_branch_that_looks_like_shell_reaches_a_real_shell_as_data() {
    let folder = tempfile::tempdir().unwrap();
    for name in SHELL_TEXTS {
        let mut story = Story::new();
        let pipeline = "version: 1\npipeline: web\non: { push: { branches: [\"**\"] } }\nbuild:\n  image: { buildspec: buildspec.yml }\n";
        let commit = story.commit_with(&[("pushway.yml", pipeline)]);
        let run = story.push(name, &commit);
        story.sim.run();
        let builds = story.world().builds();
        assert_eq!(builds.len(), 1, "{name}: {:?}", story.run(run).cause);
        // Only variables carry the text; nothing that becomes a name, a location or a command does.
        let request = &builds[0].request;
        let rest = format!("{:?} {:?} {:?} {:?}", request.run, request.job, request.commit, request.checkout);
        assert!(!rest.contains("canary"), "{rest}");
        // What a buildspec does with them: quoted, as an argument, in a file.
        let script =
            r#"printf '%s' "$PUSHWAY_BRANCH" > branch; git check-ref-format "$PUSHWAY_REF"; eval "true""#;
        let done = std::process::Command::new("sh")
            .args(["-euc", script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(&request.variables)
            .output()
            .unwrap();
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(std::fs::read_to_string(folder.path().join("branch")).unwrap(), name);
        assert!(!folder.path().join("canary").exists(), "{name} was run");
    }
}

#[test]
fn a16_a_ref_is_what_its_full_name_says_byte_for_byte() {
    // The usual pipeline runs for the branch main and for release/**.
    let table = [
        ("refs/heads/main", Some(Status::Succeeded)),
        ("refs/tags/main", Some(Status::Ignored)),
        ("refs/heads/refs/heads/main", Some(Status::Ignored)),
        ("refs/heads/heads/main", Some(Status::Ignored)),
        ("refs/heads/Main", Some(Status::Ignored)),
        ("refs/heads/m\u{430}in", Some(Status::Ignored)),
        ("refs/heads/main\u{202e}", Some(Status::Ignored)),
        ("refs/heads/main\u{200b}", Some(Status::Ignored)),
        ("refs/heads/main-evil", Some(Status::Ignored)),
        ("refs/remotes/origin/main", Some(Status::Ignored)),
        ("refs/heads/main.lock", None),
        ("refs/heads/release/../main", None),
        ("refs/heads/main ", None),
        ("main", None),
    ];
    for (name, wanted) in table {
        let mut story = Story::new();
        let commit = story.commit();
        let mut body = push_body("main", &commit);
        body["ref"] = json!(name);
        let answered = story.send(&Post::github("push", "d1", &body.to_string(), SECRET)).unwrap();
        let Some(wanted) = wanted else {
            assert_eq!(answered.status, 400, "{name:?}");
            continue;
        };
        story.sim.run();
        let run = story.run(answered.run());
        assert_eq!((run.status, run.source.git_ref.as_str()), (wanted, name), "{:?}", run.cause);
    }
}

#[test]
fn a18_delimiters_in_names_never_make_two_things_one() {
    let story = Story::new();
    let world = story.world();
    // Names in which a `#` or a `.` would forge another one's key, were they pasted together.
    let forged =
        [("x#RUN#1", "d"), ("x", "d#RUN#1"), ("x#RUN", "1#d"), ("x%23RUN%231", "d.2"), ("x;d", "d;x")];
    for (branch, delivery) in forged {
        let body = push_body(branch, &parse(&"a".repeat(40)));
        let answered = story.send(&Post::github("push", delivery, &body.to_string(), SECRET)).unwrap();
        assert_eq!(answered.status, 202, "{branch} {delivery}: {:?}", answered.body);
    }
    assert_eq!((world.runs().len(), world.delivery_count()), (forged.len(), forged.len()));
}
