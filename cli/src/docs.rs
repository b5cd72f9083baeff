//! Tests of what is written about the command line: docs/sources.md, README.md and the help of each verb.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory as _};
use pushway_core::delivery::{bitbucket, git, gitea, github, gitlab};
use pushway_core::source::Provider;

fn page(name: &str) -> String {
    let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The command lines of a page's indented blocks, continued lines joined.
fn commands(page: &str) -> Vec<Vec<String>> {
    let joined = page.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("    ")).map(str::trim);
    let own = lines.map(|line| line.strip_prefix("target/debug/").unwrap_or(line));
    let own = own.filter(|line| line.starts_with("pushway "));
    own.map(|line| {
        let line = line.split(" #").next().unwrap_or(line).split(" < ").next().unwrap_or(line);
        let line = line.split(" > ").next().unwrap_or(line);
        let words = line
            .replace("<TableName>", "table")
            .replace("<run>", "01890a5d-ac96-774b-bcce-b302099a8057")
            .replace("<ApiUrl>", "https://example.com")
            .replace("<WebhookUrl>", "https://example.com/webhooks");
        unquoted(&words)
    })
    .collect()
}

/// The words of a command line; what stands in single quotes is one.
fn unquoted(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[test]
fn every_command_that_the_pages_show_is_one() {
    for name in ["docs/sources.md", "README.md"] {
        let commands = commands(&page(name));
        assert!(commands.len() > 4, "{name} shows {}", commands.len());
        for words in commands {
            let parsed = super::Cli::command().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{name}: {}\n{}", words.join(" "), parsed.unwrap_err());
        }
    }
}

#[test]
fn every_provider_has_its_section_with_its_own_headers() {
    let page = page("docs/sources.md");
    let of_standard = [git::headers::ID, git::headers::TIMESTAMP, git::headers::SIGNATURE];
    for provider in Provider::ALL {
        let title = format!("\n### {provider}\n");
        let (_, section) = page.split_once(&title).unwrap_or_else(|| panic!("no section of {provider}"));
        let section = section.split("\n#").next().unwrap();
        let mut headers: BTreeSet<&str> = BTreeSet::new();
        match provider {
            Provider::Github => {
                use github::headers::{DELIVERY, EVENT, SIGNATURE};
                headers.extend([DELIVERY, EVENT, SIGNATURE]);
            }
            Provider::Gitlab => {
                use gitlab::headers::{DELIVERY, EVENT, TOKEN};
                headers.extend(DELIVERY.iter().chain([&EVENT, &TOKEN, &git::headers::SIGNATURE]));
            }
            Provider::Bitbucket => {
                use bitbucket::headers::{DELIVERY, EVENT, SIGNATURE};
                headers.extend([DELIVERY, EVENT, SIGNATURE]);
            }
            Provider::Gitea => {
                use gitea::headers::{DELIVERY, EVENT, SIGNATURE};
                headers.extend(DELIVERY.iter().chain(&EVENT).chain(&SIGNATURE));
            }
            Provider::Git => headers.extend(of_standard),
            Provider::Codecommit => {}
        }
        let is_header = |word: &&str| {
            word.starts_with("x-") && !word.contains("-auth")
                || of_standard.contains(word)
                || *word == "idempotency-key"
        };
        let shown: BTreeSet<&str> = section.split('`').skip(1).step_by(2).filter(is_header).collect();
        assert_eq!(shown, headers, "headers of {provider}");
        for part in ["**Token**", "**Sends**", "**Limits**"] {
            assert!(section.contains(part), "{provider} has no {part}");
        }
    }
    let (kib, commits) = (git::MAX_FILES_BYTES / 1024, git::MAX_HISTORY);
    assert!(page.contains(&format!("{kib} KiB of files and history a push, {commits} commits of history")));
}

/// Every verb that does something, by its words.
fn verbs(command: &Command, path: &str) -> Vec<String> {
    let own = format!("{path} {}", command.get_name());
    let is_shown = |child: &&Command| child.get_name() != "help" && !child.is_hide_set();
    let children: Vec<_> = command.get_subcommands().filter(is_shown).collect();
    if children.is_empty() {
        return vec![own.trim().to_owned()];
    }
    children.into_iter().flat_map(|child| verbs(child, &own)).collect()
}

#[test]
fn help_of_every_verb() {
    let mut command = super::Cli::command().term_width(100);
    command.build();
    let mut all = vec![format!("## pushway\n\n{}", command.render_help())];
    let mut without = Vec::new();
    for path in verbs(&command, "") {
        let verb = path.split(' ').skip(1).fold(&mut command, |command: &mut Command, name| {
            command.find_subcommand_mut(name).unwrap_or_else(|| panic!("no verb {path:?}"))
        });
        let help = verb.render_help().to_string();
        let has_example = ["Example:", "Examples:", "Example, "].iter().any(|word| help.contains(word));
        if !has_example {
            without.push(path.clone());
        }
        all.push(format!("## {path}\n\n{help}"));
    }
    assert!(without.is_empty(), "no example is shown by {without:?}");
    insta::assert_snapshot!(all.join("\n"));
}

/// What a command line that is wrong is answered with, verb by verb: what it misses, and a flag that nobody knows.
#[test]
fn a_wrong_command_line_is_told_what_is_wrong_by_every_verb() {
    let command = super::Cli::command();
    let mut all = Vec::new();
    for path in verbs(&command, "") {
        let words: Vec<&str> = path.split(' ').collect();
        for more in [&[][..], &["--nonsense"]] {
            let given = words.iter().chain(more).copied();
            let Err(error) = command.clone().term_width(100).try_get_matches_from(given) else { continue };
            let told = error.render().to_string();
            let told = told.split("\n\nUsage:").next().unwrap_or_default().to_owned();
            all.push(format!("{path} {}\n[{}] {told}", more.join(" "), error.exit_code()));
        }
    }
    insta::assert_snapshot!(all.join("\n\n"));
}
