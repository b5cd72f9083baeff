//! Connecting, rotating and disconnecting, as the table, the store of secrets and the forge see it.

use serde_json::{Value, json};

use crate::Said;
use crate::aws::Aws;
use crate::forge::{Forge, HEAD};

/// What must be seen nowhere.
const TOKEN: &str = "glpat-hunter2";
const SIGNING: &str = "pushway/hooks/gitlab/group.web";
const CREDENTIALS: &str = "pushway/credentials/gitlab/group.web";
const CLONE: &str = "build/clone/gitlab.group.web";
const HOOK: &str = "HOOK#gitlab#group.web";
const RECONCILIATION: &str = "RECONCILE#gitlab#group.web";

struct World {
    aws: Aws,
    forge: Forge,
    said: String,
}

impl World {
    async fn start() -> Self {
        Self { aws: Aws::start().await, forge: Forge::start(TOKEN).await, said: String::new() }
    }

    /// Runs a verb on the repository; keeps what it said.
    async fn run(&mut self, verb: &str, more: &[&str], input: &str) -> Said {
        let url = self.forge.url();
        let mut words = vec![verb, "gitlab", "group/web", "--webhooks", "https://hooks.example.com/webhooks"];
        if verb == "connect" {
            words.extend(["--api-url", &url]);
        }
        words.extend(more);
        let said = self.aws.pushway(&words, input).await;
        self.said.push_str(&said.all());
        said
    }

    fn secret(&self, name: &str) -> Vec<String> {
        self.aws
            .look(|content| content.secrets.get(name).map_or(Vec::new(), |secret| secret.versions.clone()))
    }

    fn dropped(&self) -> Vec<String> {
        self.aws.look(|content| {
            let dropped = content.secrets.iter().filter(|(_, secret)| secret.is_dropped);
            dropped.map(|(name, _)| name.clone()).collect()
        })
    }
}

#[tokio::test]
async fn one_command_connects_and_connecting_again_keeps_the_secret() {
    let mut world = World::start().await;
    let said = world.run("connect", &["--token-stdin"], &format!("{TOKEN}\n")).await;
    assert_eq!(said.code, 0, "{}", said.all());

    let hook = world.aws.record(HOOK).unwrap();
    assert_eq!(hook["repository_id"], "7");
    assert_eq!(hook["default_branch"], "trunk");
    assert_eq!(hook["clone_url"], "https://git.example.com/group/web.git");
    assert_eq!(hook["credentials"], CREDENTIALS);
    assert_eq!(
        hook["clone_login"],
        json!({ "user": "oauth2", "token": format!("secretsmanager:{CLONE}:token") })
    );
    assert_eq!(hook["forge_hook"], "1");
    assert_eq!(world.secret(CREDENTIALS), [json!({ "token": TOKEN }).to_string()]);
    assert_eq!(world.secret(CLONE), [json!({ "token": TOKEN }).to_string()]);
    world.aws.look(|content| {
        assert_eq!(content.items[HOOK]["open_pk"]["S"], "OPEN#hook");
        assert_eq!(content.items[HOOK]["open_at"]["S"], "gitlab#group.web");
        assert_eq!(content.items[RECONCILIATION]["open_pk"]["S"], "OPEN#reconcile");
    });

    // What was pushed before starts nothing: the heads of now are accounted for.
    let known = world.aws.record(RECONCILIATION).unwrap();
    assert_eq!(known["seen"], json!({ "refs/heads/trunk": HEAD }));
    assert!(known["reconciled_at"].is_string());

    let [made] = &world.forge.hooks()[..] else { panic!("one webhook is made") };
    assert_eq!(made["url"], "https://hooks.example.com/webhooks/gitlab/group.web");
    let signing = world.secret(SIGNING);
    assert_eq!(made["token"].as_str(), signing.last().map(String::as_str));

    // Again, without a token: the one that is stored does.
    let said = world.run("connect", &["--default-branch", "main"], "").await;
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(world.secret(SIGNING), signing);
    assert_eq!(world.forge.hooks().len(), 1);
    assert_eq!(world.aws.record(HOOK).unwrap()["default_branch"], "main");
    assert_eq!(world.aws.record(RECONCILIATION).unwrap(), known);
}

#[tokio::test]
async fn a9_a_rotation_reaches_the_forge_and_one_overlap_is_open_at_a_time() {
    let mut world = World::start().await;
    world.run("connect", &["--token-stdin"], TOKEN).await;
    let said = world.run("rotate-secret", &[], "").await;
    assert_eq!(said.code, 0, "{}", said.all());
    let [old, new] = &world.secret(SIGNING)[..] else { panic!("the old one is kept as the version before") };
    assert_ne!(old, new);
    assert_eq!(world.forge.hooks()[0]["token"], new.as_str());
    assert!(world.aws.record(HOOK).unwrap()["old_secret_until"].is_string());

    let said = world.run("rotate-secret", &[], "").await;
    assert_eq!((said.code, world.secret(SIGNING).len()), (1, 2), "{}", said.all());
    let said = world.run("rotate-secret", &["--overlap", "0s"], "").await;
    assert_eq!((said.code, world.secret(SIGNING).len()), (0, 3), "{}", said.all());
}

#[tokio::test]
async fn disconnecting_leaves_the_history_and_what_pushway_did_not_make() {
    let mut world = World::start().await;
    world.run("connect", &["--token-stdin"], TOKEN).await;
    let branch = "BRANCH#gitlab#group.web#refs/heads/trunk";
    world.aws.keep(branch);
    let before = world.secret(SIGNING);
    let said = world.run("disconnect", &[], "").await;
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.err.contains("the history stays"));
    assert!(world.forge.hooks().is_empty());
    assert_eq!(world.aws.look(|content| content.items.keys().cloned().collect::<Vec<_>>()), [branch]);
    assert_eq!(world.dropped(), [CLONE, CREDENTIALS, SIGNING]);
    assert_eq!(world.run("disconnect", &[], "").await.code, 1);

    // Connecting it once more takes the names back, and trusts nothing that was given up.
    let said = world.run("connect", &["--token-stdin"], TOKEN).await;
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(world.dropped().is_empty());
    assert_ne!(world.secret(SIGNING).last(), before.last());
}

#[tokio::test]
async fn a37_no_secret_is_shown_by_any_verb_unless_it_is_asked_for() {
    let mut world = World::start().await;
    world.run("connect", &["--token-stdin", "--json"], TOKEN).await;
    world.run("connect", &[], "").await;
    world.run("connect", &["--token-stdin"], "glpat-hunter2-but-wrong").await;
    world.run("connect", &["--token-stdin"], "glpat-hunter2 of two words").await;
    world.run("connect", &["--token-stdin"], r#"{"token": "glpat-hunter2", "extra"#).await;
    world.run("rotate-secret", &["--json"], "").await;
    world.run("rotate-secret", &["--overlap", "0s"], "").await;
    let signing = world.secret(SIGNING);
    assert_eq!(signing.len(), 3);
    world.run("disconnect", &["--json"], "").await;
    let items = world.aws.look(|content| format!("{:?}", content.items));
    for secret in signing.iter().map(String::as_str).chain([TOKEN]) {
        assert!(!world.said.contains(secret), "{secret} is in {}", world.said);
        assert!(!items.contains(secret), "{secret} is in {items}");
    }

    let said = world.run("connect", &["--token-stdin", "--show-secret", "--json"], TOKEN).await;
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["secret"].as_str(), world.secret(SIGNING).last().map(String::as_str));
    assert!(!said.all().contains(TOKEN));
}

#[tokio::test]
async fn a7_without_a_token_a_person_is_told_what_to_enter_and_a_secret_there_is() {
    let world = World::start().await;
    let words = ["connect", "bitbucket", "octo/web", "--webhooks", "https://hooks.example.com/webhooks"];
    let said = world.aws.pushway(&words, "").await;
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.out.contains("https://hooks.example.com/webhooks/bitbucket/octo.web"), "{}", said.out);
    assert!(said.err.contains("Repository push") && said.err.contains("without a token"), "{}", said.err);
    assert_eq!(world.secret("pushway/hooks/bitbucket/octo.web")[0].len(), 64);
    assert_eq!(world.aws.record("RECONCILE#bitbucket#octo.web"), None);
}
