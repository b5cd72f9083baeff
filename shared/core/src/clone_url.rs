//! Clone URLs: where builds are sent to fetch what they run.
//!
//! They become arguments of git. Only https and ssh are taken (http to this machine), and nothing that git or
//! ssh could read as an option or as a command (row A15). Judged when a repository is connected, and again
//! before a build is started.

use url::Url;

use crate::delivery::git_hook::is_private;

/// The transports of clone URLs, as `GIT_ALLOW_PROTOCOL` names them (git(1)).
pub const TRANSPORTS: &str = "http:https:ssh";

/// A clone URL as it is stored, if builds may be sent there.
pub fn check(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| {
        format!("clone URL {text:?} can't be read: {error}; write https://host/path or ssh://git@host/path")
    })?;
    if url.scheme() != "ssh" && !is_private(&url) {
        return Err(format!(
            "clone URL {text:?} uses {}; use https or ssh, so that nobody can put another source in",
            url.scheme()
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || host.starts_with(['-', '%']) || url.username().starts_with(['-', '%']) {
        return Err(format!("clone URL {text:?} names no host that git could be sent to"));
    }
    if (!url.username().is_empty() && url.scheme() != "ssh") || url.password().is_some() {
        return Err(
            "the clone URL holds credentials; they would be shown in every run, so use --token-stdin".into(),
        );
    }
    Ok(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a15_no_clone_url_makes_git_run_or_read_something_else() {
        for hostile in [
            "",
            "--upload-pack=x",
            "-c core.sshCommand=x",
            "ext::sh -c whoami",
            "ext::https://example.com/web",
            "fd::17",
            "file:///etc",
            "/etc",
            "../web.git",
            "git@example.com:octo/web.git",
            "git://example.com/web",
            "http://example.com/web",
            "ssh://-oProxyCommand=whoami/web",
            "ssh://-x@example.com/web",
            "ssh://%2doProxyCommand=whoami/web",
            "ssh:///web",
            "https://token@example.com/web",
            "https://user:hunter2@example.com/web",
            "ssh://git:hunter2@example.com/web",
        ] {
            let error = check(hostile).expect_err(hostile);
            assert!(hostile.contains("hunter2") <= !error.contains("hunter2"), "{error}");
        }
        assert_eq!(check("https://exa\nmple.com/web").as_deref(), Ok("https://example.com/web"));
        for good in [
            "https://example.com/web.git",
            "ssh://git@example.com:2222/~web",
            "http://127.0.0.1:8080/web.git",
        ] {
            assert_eq!(check(good).as_deref(), Ok(good));
        }
    }
}
