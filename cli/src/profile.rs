//! Profiles: which installation is asked, and with which token, by a name of the user's own.
//!
//! They lie in the user's configuration folder, never in a repository (row A47): a repository could send the token
//! to an address of its own choice. A file that others can read is refused.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use etcetera::BaseStrategy as _;
use pushway_core::access::Token;
use pushway_core::delivery::git_hook::is_private;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::output;

/// The profile that counts where none is named.
pub(crate) const DEFAULT: &str = "default";
/// Mode bits that let others than the owner in.
const OTHERS: u32 = 0o077;

/// An installation and how to sign in to it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Output `ApiUrl` of its stack.
    pub(crate) url: Url,
    /// The token; without one, requests are signed with AWS credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// What to keep.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway login --url https://abc.execute-api.eu-central-1.amazonaws.com < token.txt"
)]
pub(crate) struct Login {
    /// Use AWS credentials instead of a token.
    #[arg(long)]
    aws: bool,
}

/// `pushway login`: keeps an address and a token, which is read from standard input and is not shown.
pub(crate) fn login(name: Option<&str>, url: Option<&Url>, args: &Login) -> anyhow::Result<ExitCode> {
    let url = url.context("which installation? give --url, output ApiUrl of its stack")?;
    let name = name.unwrap_or(DEFAULT);
    refuse_plain(url)?;
    let token = if args.aws { None } else { Some(read_token()?) };
    let mut profiles = read()?;
    profiles.profiles.insert(name.to_owned(), Profile { url: url.clone(), token });
    let path = write(&profiles)?;
    output::note(&format!(
        "kept as profile {name} in {}; try `pushway whoami --profile {name}`",
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A profile of this name.
pub(crate) fn named(name: &str) -> anyhow::Result<Profile> {
    let mut profiles = read()?.profiles;
    profiles.remove(name).with_context(|| {
        let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none is kept yet".to_owned() } else { known.join(", ") };
        format!(
            "there is no profile {name:?} ({known}); `pushway login --profile {name} --url <ApiUrl>` makes it"
        )
    })
}

/// The profile that counts where none is named, if it is kept.
pub(crate) fn default() -> anyhow::Result<Option<Profile>> {
    Ok(read()?.profiles.remove(DEFAULT))
}

/// Refuses an address to which a token or a signature would travel in the open.
pub(crate) fn refuse_plain(url: &Url) -> anyhow::Result<()> {
    if !is_private(url) {
        bail!("the API's address {url} is not https; whoever listens could act in your name");
    }
    Ok(())
}

fn read_token() -> anyhow::Result<String> {
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        output::note("paste the token (`pushway token create` makes one), then press Enter and Ctrl-D");
    }
    let mut text = String::new();
    stdin.read_to_string(&mut text).context("read the token from standard input")?;
    let text = text.trim();
    // A token of an issuer is none of ours, and is taken as it is.
    if text.starts_with("pwt_") {
        text.parse::<Token>()?;
    }
    if text.is_empty() || text.contains(char::is_whitespace) {
        bail!("standard input holds no token; `pushway token create` makes one");
    }
    Ok(text.to_owned())
}

fn path() -> anyhow::Result<PathBuf> {
    let folders = etcetera::choose_base_strategy().context("find your configuration folder; set HOME")?;
    Ok(folders.config_dir().join("pushway").join("config.toml"))
}

fn read() -> anyhow::Result<Profiles> {
    let path = path()?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Profiles::default()),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let mode = fs::metadata(&path)?.permissions().mode();
    if mode & OTHERS != 0 {
        bail!(
            "others can read {0}, which holds tokens (mode {1:03o}); run `chmod 600 {0}`",
            path.display(),
            mode & 0o777
        );
    }
    toml::from_str(&text).with_context(|| format!("read {}", path.display()))
}

/// Writes the file whole, readable by its owner alone from the first moment.
fn write(profiles: &Profiles) -> anyhow::Result<PathBuf> {
    let path = path()?;
    let folder = path.parent().context("a folder for the configuration")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let draft = path.with_extension(format!("toml.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(toml::to_string(profiles)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, &path).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
