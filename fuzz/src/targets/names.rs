//! Ids, names and signature headers: what one line of text may be.
//!
//! A text that is accepted is the same text when it is shown and read again, and a signature that is
//! accepted is one that the signer would have written.

use std::fmt::Display;
use std::str::FromStr;

use pushway_core::ids::{
    CommitSha, DeliveryId, Digest, EnvironmentName, HookId, ImageDigestRef, JobName, PipelineName, RefName,
    RepositoryId, RepositoryPath, RunId, VariableName,
};
use pushway_core::plan::SecretRef;
use pushway_core::ports::Clock as _;
use pushway_core::signature::{Secret, Stamp, sign_github, sign_standard, verify_github, verify_standard};
use pushway_core::testing::World;

/// What the signatures here are of.
const BODY: &[u8] = b"{}";
/// The world's first moment.
const STAMP: &str = "1790000000";

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    survives::<CommitSha>(text);
    survives::<DeliveryId>(text);
    survives::<Digest>(text);
    survives::<EnvironmentName>(text);
    survives::<HookId>(text);
    survives::<ImageDigestRef>(text);
    survives::<JobName>(text);
    survives::<PipelineName>(text);
    survives::<RepositoryId>(text);
    survives::<RepositoryPath>(text);
    survives::<RunId>(text);
    survives::<SecretRef>(text);
    survives::<VariableName>(text);
    if survives::<RefName>(text) {
        is_a_ref(text);
    }
    signatures(text);
}

/// Whether the text is accepted; if so, it is kept as it is.
fn survives<T: FromStr<Err: Display> + Display>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(id) => {
            assert_eq!(id.to_string(), text);
            true
        }
        Err(error) => {
            // A refusal shows at most 80 characters of the text, each escaped in at most ten bytes.
            assert!(error.to_string().len() <= 80 * 10 + 300, "{error}");
            false
        }
    }
}

/// git-check-ref-format's rules, said once more and apart from the library that the parser asks.
fn is_a_ref(text: &str) {
    let name = text.strip_prefix("refs/").unwrap_or_default();
    let forbidden = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    assert!(!name.contains(forbidden) && !name.contains("..") && !name.contains("@{"), "{text:?}");
    for part in name.split('/') {
        let has_end = part.starts_with('.') || part.strip_suffix(".lock").is_some();
        assert!(!part.is_empty() && !has_end, "{text:?}");
    }
    assert!(!name.ends_with('.'), "{text:?}");
}

fn signatures(text: &str) {
    let Some(secret) = Secret::new("hunter2") else { return };
    assert_eq!(verify_github(&secret, text, BODY).is_ok(), text == sign_github(&secret, BODY));
    let now = World::new().now();
    let good = sign_standard(&secret, "d1", STAMP, BODY);
    let stamp = Stamp { id: "d1", timestamp: STAMP, signatures: text };
    let has_good = text.split(' ').take(8).any(|part| part == good);
    assert_eq!(verify_standard(&secret, &stamp, BODY, now).is_ok(), has_good);
    let stamp = Stamp { id: text, timestamp: text, signatures: text };
    assert!(verify_standard(&secret, &stamp, BODY, now).is_err());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let secret = Secret::new("hunter2");
    let signed = secret.map(|secret| {
        let standard = sign_standard(&secret, "d1", STAMP, BODY);
        [sign_github(&secret, BODY), format!("v1,AAAA {standard}"), standard]
    });
    let digest = format!("sha256:{}", "a".repeat(64));
    let texts = [
        "refs/heads/release/1.2",
        "refs/tags/v1",
        "refs/heads/ünï",
        "refs/heads/a..b",
        "refs/heads/a.lock",
        "refs/heads/$(id)",
        "refs/heads/@{",
        "refs/pull/1/head",
        "web-1",
        "A_B",
        "ci/unit.yml",
        "../etc",
        "4f0c6a1d9be27735c8e1fa02b6d3949e0a7c5581",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "github",
        "secretsmanager:build/npm:TOKEN",
        "ssm:/build/npm",
        "sha256=",
        "v1,",
        STAMP,
    ];
    let texts = texts.into_iter().map(str::to_owned);
    texts
        .chain([format!("localhost:4566/web@{digest}"), digest])
        .chain(signed.into_iter().flatten())
        .map(String::into_bytes)
        .collect()
}
