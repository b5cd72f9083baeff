//! What a git server's hook reads: its configuration, the deliveries that it has kept, what git tells it.
//!
//! Pushers choose branches and file names, and a disk may give back anything; so all of it is read here,
//! whole or not at all. Files and processes are the command line's affair.

use serde::{Deserialize, Serialize};
use url::Url;

use super::git::{Carried, MAX_HISTORY_FILES};
use crate::commits::CommitLine;
use crate::ids::DeliveryId;
use crate::signature::Secret;

/// The content of the configuration file: where deliveries go, and what they are signed with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// The hook's address, as `pushway connect` gave it.
    pub url: Url,
    /// The repository's name, as it was connected.
    pub repository: String,
    /// The secret, as `pushway connect --show-secret` gave it.
    secret: String,
}

impl HookConfig {
    /// A configuration.
    pub fn new(url: Url, repository: &str, secret: &Secret) -> Self {
        let secret = String::from_utf8_lossy(secret.expose()).into_owned();
        Self { url, repository: repository.to_owned(), secret }
    }

    /// Reads the file's text: JSON, and an address that nobody can listen to.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(text)
            .map_err(|error| format!("it must hold url, repository and secret as JSON: {error}"))?;
        if !is_private(&config.url) {
            return Err("its address is not https; deliveries to it could be read on their way".into());
        }
        Ok(config)
    }

    /// The secret to sign with; `None` where it is empty.
    pub fn secret(&self) -> Option<Secret> {
        Secret::new(self.secret.clone())
    }
}

/// Whether nobody can listen on the way to an address: it is https, or stays on this machine.
pub fn is_private(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

/// A delivery as it is kept until it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The delivery's id; the same however often it is sent.
    pub id: DeliveryId,
    /// The ref that moved, as git named it.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The body, byte for byte as it is signed.
    pub body: String,
}

impl Kept {
    /// Reads a kept delivery; `None` where the file is no such thing.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A ref that moved, as git tells a post-receive hook of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved<'a> {
    /// Where it pointed before; all zeros for a new ref.
    pub before: &'a str,
    /// Where it points now; all zeros for a deleted one.
    pub after: &'a str,
    /// The full ref.
    pub git_ref: &'a str,
}

impl<'a> Moved<'a> {
    /// Reads a line of a post-receive hook's input (githooks(5)). The ids are hex, so that neither can be
    /// an option or an expression of git's; the ref is passed on as it is and judged by the installation.
    pub fn parse(line: &'a str) -> Result<Self, String> {
        let is_id = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        match line.split(' ').collect::<Vec<_>>()[..] {
            [before, after, git_ref] if is_id(before) && is_id(after) && git_ref.starts_with("refs/") => {
                Ok(Self { before, after, git_ref })
            }
            _ => Err(format!("{line:?} is not `old new ref`, as post-receive hooks get it")),
        }
    }
}

/// Reads the parts of `git log -z --name-only --format=%x00%H%n%an%n%s`: nothing, a commit's id with author and
/// subject, its files. A commit with too many files ends the history: what is not told is not taken for
/// unchanged.
pub fn read_history(told: &str) -> Result<Vec<Carried>, String> {
    let (mut history, mut count): (Vec<Carried>, usize) = (Vec::new(), 0);
    let mut parts = told.split('\0');
    while let Some(part) = parts.next() {
        if part.is_empty() {
            let Some(told) = parts.next().filter(|told| !told.is_empty()) else { break };
            let mut words = told.splitn(3, '\n');
            let commit = words.next().unwrap_or_default().parse();
            let commit = commit.map_err(|error| format!("git log: {error}"))?;
            let (author, message) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let CommitLine { commit, message, author } = CommitLine::new(commit, message, author);
            history.push(Carried { commit, files: Vec::new(), message, author });
        } else if let Some(last) = history.last_mut() {
            // The first file of a commit comes behind a line end.
            let name = if last.files.is_empty() { part.strip_prefix('\n').unwrap_or(part) } else { part };
            last.files.push(name.to_owned());
            count += 1;
        }
        if count > MAX_HISTORY_FILES {
            history.pop();
            break;
        }
    }
    Ok(history)
}
