//! The configuration of a git server's hook: where deliveries go, and what they are signed with.
//!
//! It holds a secret, so it is refused while others may read it, and it names an address that nobody can
//! listen to (row A47). It lies outside of the repository: whoever can push can't change it.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use pushway_core::delivery::git_hook::HookConfig;
use pushway_core::signature::Secret;
use url::Url;

/// The configuration of one repository's hook.
pub(crate) struct Config(HookConfig);

impl std::ops::Deref for Config {
    type Target = HookConfig;
    fn deref(&self) -> &HookConfig {
        &self.0
    }
}

impl Config {
    pub(crate) fn new(url: Url, repository: &str, secret: &Secret) -> Self {
        Self(HookConfig::new(url, repository, secret))
    }

    /// Writes the file, never readable for others, not even for a moment.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.0)?;
        let write = || {
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            // One that was there before keeps its mode.
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())
        };
        write().with_context(|| format!("write {}", path.display()))
    }

    /// Reads the file, if it is safe to use.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mode = std::fs::metadata(path).with_context(|| format!("read {shown}"))?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!("{shown} holds a secret and others may read it; run: chmod 600 {shown}");
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
        HookConfig::parse(&text).map(Self).map_err(|problem| anyhow!("mend {shown}: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a47_a_configuration_that_others_may_read_or_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.json");
        let secret = Secret::new("hunter2").unwrap();
        let with = |url: &str| Config::new(Url::parse(url).unwrap(), "web", &secret);
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refusal = || format!("{:#}", Config::read(&path).err().expect("it was taken"));

        with("https://example.com/webhooks/git/web").write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Config::read(&path).unwrap().repository, "web");
        for open in [0o644, 0o640, 0o604] {
            mode(open);
            assert!(refusal().contains("chmod 600"), "{open:o}");
        }
        // Written again it is private again.
        with("http://example.com/webhooks/git/web").write(&path).unwrap();
        assert!(refusal().contains("not https"));
        std::fs::write(&path, r#"{"url": "https://example.com", "secret": "hunter2", "run": "x"}"#).unwrap();
        assert!(!refusal().contains("hunter2"));
    }
}
