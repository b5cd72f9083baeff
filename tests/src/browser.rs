//! A real browser that drives the dashboard's pages; `tests/browser/look.mjs` says what it can be told to do.
//!
//! `cargo xtask test` installs Chromium and what drives it. Pictures of what was seen lie in `target/screenshots`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::repository::root;

/// The names under which Chromium is installed.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Somebody with a browser and a token.
pub struct Visitor {
    base: String,
    token: String,
}

impl Visitor {
    /// Who visits the dashboard at this address, and signs in with this token.
    pub fn new(base: &str, token: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), token: token.to_owned() }
    }

    /// Does one thing; gives what was found. `with` is what the order needs besides.
    ///
    /// # Panics
    /// When it can't be done, with what the browser says.
    pub fn does(&self, order: &str, with: Value) -> Value {
        let shots = root().join("target/screenshots");
        std::fs::create_dir_all(&shots).unwrap_or_else(|error| panic!("{}: {error}", shots.display()));
        let mut look =
            json!({ "base": self.base, "token": self.token, "shots": shots, "chromium": chromium() });
        if let (Some(look), Value::Object(with)) = (look.as_object_mut(), with) {
            look.extend(with);
        }
        let folder = root().join("tests/browser");
        assert!(folder.join("node_modules").exists(), "{}: `cargo xtask test` installs it", folder.display());
        let output = Command::new("node")
            .arg("look.mjs")
            .arg(order)
            .env("LOOK", look.to_string())
            .current_dir(folder)
            .output()
            .unwrap_or_else(|error| panic!("node can't be started: {error}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{order}: {told}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{order}: {error}: {told}"))
    }
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).flat_map(|folder| CHROMIUM.map(|name| folder.join(name)));
    let found = all.find(|program| program.exists());
    found.unwrap_or_else(|| panic!("no Chromium is installed; `cargo xtask test` installs it"))
}
