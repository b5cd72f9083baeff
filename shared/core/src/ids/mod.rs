//! Names and ids as types: each is checked once, at the edge, and carries the proof from there on.
//!
//! A value of these types is safe to show, to compare and to use as a part of a key; it is never safe
//! to paste it into a shell string, an expression or a page without that place's own escaping.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod image;
mod image_uri;

pub use image::ImageDigestRef;
pub use image_uri::{EcrHost, ImageUri, TaggedImage};

/// What made a text unfit to be an id, in words that can be shown to the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {rule}")]
pub struct InvalidId {
    /// The kind of id, as a user calls it ("job name").
    pub what: &'static str,
    /// The offending text, cut to 80 characters.
    pub text: String,
    /// The rule it breaks, and so what to write instead.
    pub rule: &'static str,
}

impl InvalidId {
    fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self { what, text: text.chars().take(80).collect(), rule }
    }
}

/// A text newtype whose only door is a checking `FromStr`; serde goes through the same door. The pattern says the
/// rule to programs; a test holds it to the check.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The text as it was checked.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId::new($what, text, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

/// Lower-case slug of 1 to 63 characters: letters, digits and inner hyphens (an RFC 1123 label), so that
/// it fits into ARNs, log stream names and URLs unchanged.
fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Printable ASCII without spaces, at most `max` bytes.
fn is_token(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

text_id!(
    /// The name of a pipeline; one repository's in an installation.
    PipelineName, "pipeline name", "use 1 to 63 lower-case letters, digits and inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", is_slug
);
text_id!(
    /// The name of a job, unique in its stage.
    JobName, "job name", "use 1 to 63 lower-case letters, digits and inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", is_slug
);
text_id!(
    /// The name of an environment, unique in its pipeline.
    EnvironmentName, "environment name", "use 1 to 63 lower-case letters, digits and inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", is_slug
);
text_id!(
    /// The name of an API token, never used for another one.
    TokenName, "token name", "use 1 to 63 lower-case letters, digits and inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", is_slug
);
text_id!(
    /// The id of a hook: what ties a delivery to a repository and its secret.
    /// For `CodeCommit` it is the repository's name, whose rules these are (API Reference, "CreateRepository").
    HookId, "hook id", "use 1 to 100 letters, digits, dots, hyphens and underscores",
    r"^[A-Za-z0-9._-]{1,100}$",
    |text| (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
);
text_id!(
    /// The name of an environment variable or of an output of a job.
    VariableName, "variable name",
    "use letters, digits and underscores, not starting with a digit, at most 128 characters",
    r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
    |text| (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.as_bytes()[0].is_ascii_digit()
);
text_id!(
    /// A full commit id: 40 lower-case hex digits (SHA-1) or 64 (SHA-256).
    CommitSha, "commit id", "give the full id: 40 or 64 lower-case hex digits",
    r"^([0-9a-f]{40}|[0-9a-f]{64})$",
    |text| matches!(text.len(), 40 | 64) && is_lower_hex(text)
);
text_id!(
    /// A content digest in the form of the OCI image specification: `sha256:` and 64 lower-case hex digits.
    Digest, "digest", "write sha256: and 64 lower-case hex digits",
    r"^sha256:[0-9a-f]{64}$",
    |text| text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_lower_hex(hex))
);
text_id!(
    /// The id a forge gave one delivery.
    DeliveryId, "delivery id", "use 1 to 128 printable ASCII characters without spaces",
    r"^[!-~]{1,128}$", |text| is_token(text, 128)
);
text_id!(
    /// The id of a repository at its forge: never reused, unlike a name (GitHub: the number; CodeCommit: the UUID).
    RepositoryId, "repository id", "use 1 to 256 printable ASCII characters without spaces",
    r"^[!-~]{1,256}$", |text| is_token(text, 256)
);
text_id!(
    /// A path of a file inside a repository, relative, with `/` between its parts.
    RepositoryPath, "path",
    "use a relative path inside the repository, without `..`, `//`, a backslash or control characters",
    r"^(?!/)(?!.*//)(?!.*/$)(?!.*(^|/)\.{1,2}(/|$))[^\x00-\x1f\x7f-\x9f\\]{1,1024}$",
    |text| (1..=1024).contains(&text.len())
        && !text.chars().any(|c| c.is_control() || c == '\\')
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
);

impl CommitSha {
    /// The first 8 digits: enough for a person, never for a decision.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// Whether this is the all-zero id by which forges say "no commit here" (a created or deleted ref).
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

/// A full ref name (`refs/heads/main`), valid by git's own rules (git-check-ref-format) and compared byte
/// for byte, so that a tag called `main` is never taken for the branch.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("maxLength" = 255, "pattern" =
    r"^refs/(?![./])(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)|[/.]$))[^\x00-\x20\x7f~^:?*\[\\]+$"))]
pub struct RefName(String);

/// What a ref points at, by the namespace it lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind<'a> {
    /// `refs/heads/<name>`
    Branch(&'a str),
    /// `refs/tags/<name>`
    Tag(&'a str),
    /// Anything else: notes, pull request heads, replace refs.
    Other,
}

impl RefName {
    /// Git has no cap of its own; 255 bytes is the most that the forges store.
    const MAX_BYTES: usize = 255;

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Branch, tag or something else.
    pub fn kind(&self) -> RefKind<'_> {
        if let Some(branch) = self.0.strip_prefix("refs/heads/") {
            RefKind::Branch(branch)
        } else if let Some(tag) = self.0.strip_prefix("refs/tags/") {
            RefKind::Tag(tag)
        } else {
            RefKind::Other
        }
    }

    /// The name a person uses: the branch or tag without its namespace.
    pub fn short(&self) -> &str {
        match self.kind() {
            RefKind::Branch(name) | RefKind::Tag(name) => name,
            RefKind::Other => &self.0,
        }
    }
}

impl FromStr for RefName {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str = "give a full ref name such as refs/heads/main, valid by git-check-ref-format";
        let valid = text.starts_with("refs/")
            && text.len() <= Self::MAX_BYTES
            && gix_validate::reference::name(text.into()).is_ok();
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidId::new("ref", text, RULE)) }
    }
}

impl TryFrom<String> for RefName {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> Self {
        name.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The id of a run: a UUIDv7 (RFC 9562), so that ids sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "uuid", "pattern" = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
pub struct RunId(uuid::Uuid);

impl TryFrom<String> for RunId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

impl RunId {
    /// The id for a run received at `now`; `random` makes it unique within the millisecond.
    pub fn new(now: jiff::Timestamp, random: [u8; 10]) -> Self {
        // A UUIDv7 can't hold a time before 1970.
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The least id of a moment: runs that were received before it have lesser ids, all others greater ones.
    pub fn least_of(at: jiff::Timestamp) -> Self {
        Self::new(at, [0; 10])
    }

    /// When the run was received: the first 48 bits are milliseconds since 1970 (RFC 9562, UUID version 7).
    pub fn received_at(self) -> jiff::Timestamp {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or_default();
        jiff::Timestamp::from_millisecond(millis).unwrap_or_default()
    }

    /// The greatest text that sorts before this id's and is written as ids are. No run need have it.
    pub fn text_before(self) -> String {
        uuid::Uuid::from_u128(self.0.as_u128().saturating_sub(1)).as_hyphenated().to_string()
    }

    /// The name of this run's execution: a hash, because a name may be used only once in 90 days and must
    /// not hold text from outside (Step Functions, "StartExecution", name constraints).
    pub fn execution_name(self) -> String {
        use sha2::Digest as _;
        hex::encode(&sha2::Sha256::digest(self.0.as_bytes())[..16])
    }
}

impl FromStr for RunId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        uuid::Uuid::parse_str(text)
            .ok()
            .filter(|id| id.get_version_num() == 7 && id.as_hyphenated().to_string() == text)
            .map(Self)
            .ok_or_else(|| InvalidId::new("run id", text, "give the whole id as `pushway runs` shows it"))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number that grows with each taking of an environment's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fence(u64);

impl Fence {
    /// The next fence.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the schema of a type takes just what its check takes.
    fn schema_is_the_check<T: FromStr + JsonSchema>(text: &str) -> bool {
        let schema = schemars::schema_for!(T);
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        validator.is_valid(&serde_json::Value::from(text)) == text.parse::<T>().is_ok()
    }

    proptest! {
        #[test]
        fn the_patterns_that_programs_are_told_are_the_rules_that_count(
            text in "[a-zA-Z0-9]{0,3}[-a-f0-9A-Z./@{~^:#_ é\\\\\n]{0,8}",
            prefix in "(|refs/|refs/heads/|sha256:[0-9a-f]{60}|[0-9a-f]{38}|[a-z]{60}|01890a5d-ac96-774b-bcce-b302099a80)",
        ) {
            let text = format!("{prefix}{text}");
            prop_assert!(schema_is_the_check::<PipelineName>(&text), "{text:?} as a name");
            prop_assert!(schema_is_the_check::<HookId>(&text), "{text:?} as a hook's id");
            prop_assert!(schema_is_the_check::<VariableName>(&text), "{text:?} as a variable");
            prop_assert!(schema_is_the_check::<CommitSha>(&text), "{text:?} as a commit");
            prop_assert!(schema_is_the_check::<Digest>(&text), "{text:?} as a digest");
            prop_assert!(schema_is_the_check::<DeliveryId>(&text), "{text:?} as a delivery");
            prop_assert!(schema_is_the_check::<RepositoryPath>(&text), "{text:?} as a path");
            prop_assert!(schema_is_the_check::<RefName>(&text), "{text:?} as a ref");
            prop_assert!(schema_is_the_check::<RunId>(&text), "{text:?} as a run");
        }
    }

    #[test]
    fn refs_follow_git_and_keep_their_namespace_apart() {
        for good in ["refs/heads/main", "refs/heads/release/1.2", "refs/tags/v1", "refs/heads/ünï"] {
            assert!(good.parse::<RefName>().is_ok(), "{good}");
        }
        // Rows A14 to A16: shell text, traversal, lock suffix, options, control characters, bare names.
        for bad in [
            "main",
            "heads/main",
            "refs/heads/a..b",
            "refs/heads/a.lock",
            "refs/heads/a b",
            "refs/heads/a\nb",
            "refs/heads/",
            "refs/heads/a~1",
            "refs/heads/a^",
            "refs/heads/a:b",
            "refs/heads/@{",
            "refs/heads/\u{7f}",
            &format!("refs/heads/{}", "x".repeat(300)),
        ] {
            assert!(bad.parse::<RefName>().is_err(), "{bad}");
        }
        assert_eq!("refs/tags/main".parse::<RefName>().unwrap().kind(), RefKind::Tag("main"));
        assert_eq!(
            "refs/heads/refs/heads/main".parse::<RefName>().unwrap().kind(),
            RefKind::Branch("refs/heads/main")
        );
    }

    #[test]
    fn run_ids_sort_by_time_and_name_their_execution_safely() {
        let at = |ms| jiff::Timestamp::from_millisecond(ms).unwrap();
        let (older, newer) = (RunId::new(at(1_000), [255; 10]), RunId::new(at(1_001), [0; 10]));
        assert!(older < newer && older.to_string() < newer.to_string());
        assert_eq!(older.to_string().parse::<RunId>().unwrap(), older);
        assert!("00000000-0000-0000-0000-000000000000".parse::<RunId>().is_err());
        assert_eq!(older.execution_name().len(), 32);
        assert_eq!((older.received_at(), newer.received_at()), (at(1_000), at(1_001)));
        let least = RunId::least_of(at(1_001));
        assert!(older < least && least < newer.max(RunId::new(at(1_001), [1; 10])));
        assert!(older.to_string() < least.text_before() && least.text_before() < least.to_string());
    }
}
