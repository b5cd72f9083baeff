//! The targets under libFuzzer, one program for all: the variable `PUSHWAY_FUZZ_TARGET` says which, or
//! `list` for their names.
//!
//! Built by `cargo xtask fuzz` only, with instrumented code. libFuzzer brings `main`, and calls `begin` before
//! it reads the corpus.
#![no_main]

use std::io::Write as _;
use std::sync::LazyLock;

use pushway_fuzz::{TARGETS, Target, target, write_seeds};

static NAME: LazyLock<String> = LazyLock::new(|| std::env::var("PUSHWAY_FUZZ_TARGET").unwrap_or_default());

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    target(&NAME).unwrap_or_else(|| panic!("PUSHWAY_FUZZ_TARGET is {:?}, which is no target", *NAME))
});

fn begin() {
    if *NAME == "list" {
        for target in TARGETS {
            let _closed = writeln!(std::io::stdout(), "{}", target.name);
        }
        std::process::exit(0);
    }
    write_seeds(&TARGET).unwrap_or_else(|error| panic!("write the seeds of {}: {error}", *NAME));
}

libfuzzer_sys::fuzz_target!(init: begin(), |data: &[u8]| (TARGET.run)(data));
