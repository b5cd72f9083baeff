//! `pushway completions` and `pushway man`: what shells and `man` want to know, made from the command line itself.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Command;

use crate::output;

/// For which shell.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway completions bash > ~/.local/share/bash-completion/completions/pushway"
)]
pub(crate) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Where to.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The folder for the pages.
    folder: PathBuf,
}

/// Writes a shell's completions to standard output.
pub(crate) fn completions(mut command: Command, args: &Completions) -> ExitCode {
    clap_complete::generate(args.shell, &mut command, "pushway", &mut io::stdout());
    ExitCode::SUCCESS
}

/// Writes the man pages, one for each verb.
pub(crate) fn man(command: Command, args: &Man) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    clap_mangen::generate_to(command, folder).with_context(|| format!("write to {}", folder.display()))?;
    output::note(&format!("the pages lie in {}; try `man {}/pushway.1`", folder.display(), folder.display()));
    Ok(ExitCode::SUCCESS)
}
