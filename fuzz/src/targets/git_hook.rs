//! What a git server's hook reads: its configuration, kept deliveries, pushed refs, git's log. All are tried
//! on each input.

use pushway_core::delivery::git::MAX_HISTORY_FILES;
use pushway_core::delivery::git_hook::{HookConfig, Kept, Moved, is_private, read_history};

pub(crate) fn run(input: &[u8]) {
    if let Some(kept) = Kept::parse(input) {
        // It becomes a header; one that can be none would keep back every delivery behind it.
        assert!(http::HeaderValue::from_str(kept.id.as_str()).is_ok(), "{:?}", kept.id);
        let text = serde_json::to_vec(&kept).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Kept::parse(&text), Some(kept), "what is kept is read back as it was");
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(config) = HookConfig::parse(text) {
        assert!(is_private(&config.url), "{}", config.url);
        assert!(config.secret().is_none_or(|secret| !secret.expose().is_empty()));
    }
    for line in text.lines() {
        let Ok(Moved { before, after, git_ref }) = Moved::parse(line) else { continue };
        assert_eq!(format!("{before} {after} {git_ref}"), line);
        assert!(!before.starts_with('-') && !after.starts_with('-') && !git_ref.starts_with('-'), "{line}");
    }
    if let Ok(history) = read_history(text) {
        let files: usize = history.iter().map(|commit| commit.files.len()).sum();
        assert!(files <= MAX_HISTORY_FILES, "{files} files");
        assert!(history.iter().flat_map(|commit| &commit.files).all(|file| !file.contains('\0')));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (old, new) = ("0".repeat(40), "6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    let seeds = [
        r#"{"url": "https://ci.example.com/webhooks/git/web", "repository": "web", "secret": "hunter2"}"#
            .into(),
        r#"{"url": "http://[::1]:3000/webhooks/git/web", "repository": "o/w", "secret": ""}"#.into(),
        r#"{"id": "d41d8cd98f00b204e9800998ecf8427e", "ref": "refs/heads/main", "body": "{\"ref\":1}"}"#
            .into(),
        format!("{old} {new} refs/heads/main\n{new} {old} refs/tags/v1\n"),
        format!("\0{new}\nAda\nGreet\0\nweb/a.rs\0b\nc.txt\0\0{new}\0\0{new}\n\n\0\n\"odd\"\0"),
    ];
    // Seeds that are all refused would leave everything behind the refusal to chance.
    assert!(HookConfig::parse(&seeds[0]).is_ok() && Kept::parse(seeds[2].as_bytes()).is_some());
    assert!(seeds[3].lines().all(|line| Moved::parse(line).is_ok()));
    assert_eq!(read_history(&seeds[4]).map(|history| history.len()), Ok(3));
    seeds.map(String::into_bytes).into()
}
