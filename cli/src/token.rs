//! `pushway token`, `whoami` and `audit`: who may ask for what, and who has.

use std::process::ExitCode;

use pushway_core::access::Scope;
use pushway_core::api::{AuditPage, Me, TokenMade, TokenOrder, TokenView, TokensView};
use pushway_core::fact::bounded;
use pushway_core::ids::TokenName;
use serde_json::{Value, json};

use crate::client::At;
use crate::facts::clock;
use crate::output;

/// Characters of a reason that a table shows.
const REASON_WIDTH: usize = 60;

/// What to do with tokens.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Make a token; it is printed once, and kept nowhere.
    #[command(after_help = "Example: pushway token create ci-bot --scope run --days 30")]
    Create {
        /// Its name, which no token had before; runs and the audit list keep it.
        name: TokenName,
        /// What its holder may do: read, run, approve or admin. May be given several times.
        #[arg(long = "scope", required = true)]
        scopes: Vec<Scope>,
        /// How many days it lives.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
        days: u16,
    },
    /// List the tokens, those included that have ended.
    #[command(after_help = "Example: pushway token ls")]
    Ls,
    /// End a token before its time.
    #[command(after_help = "Example: pushway token revoke ci-bot")]
    Revoke {
        /// Its name.
        name: TokenName,
    },
}

/// Which part of the audit list to show.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway audit --day 2026-11-26")]
pub(crate) struct Audit {
    /// A day (UTC); today without it.
    #[arg(long)]
    day: Option<jiff::civil::Date>,
    /// Go on where another page ended, of the same day.
    #[arg(long)]
    cursor: Option<String>,
}

/// Who one is.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway whoami")]
pub(crate) struct WhoAmI {}

/// Looks after tokens.
pub(crate) async fn main(at: &At, as_json: bool, verb: &Verb) -> anyhow::Result<ExitCode> {
    let client = at.client().await?;
    match verb {
        Verb::Create { name, scopes, days } => {
            let order = TokenOrder { name: name.clone(), scopes: scopes.clone(), days: *days };
            let made: TokenMade = client.post(&["v1", "tokens"], &order).await?;
            if as_json {
                output::json(&made)?;
            } else {
                output::line(&made.token)?;
                output::note(&format!(
                    "may {} until {}; shown this once",
                    made.view.scopes, made.view.expires_at
                ));
            }
        }
        Verb::Ls => {
            let all: TokensView = client.get(&["v1", "tokens"], &[]).await?;
            if as_json {
                output::json(&all)?;
            } else {
                let now = jiff::Timestamp::now();
                let rows = all.tokens.iter().map(|token| row(token, now)).collect();
                output::table(&["TOKEN", "SCOPES", "STATE", "MADE BY"], rows)?;
            }
        }
        Verb::Revoke { name } => {
            let path = ["v1", "tokens", name.as_str(), "revoke"];
            let ended: TokenView = client.post(&path, &Value::Null).await?;
            if as_json {
                output::json(&ended)?;
            } else {
                output::note(&format!("token {name} has ended"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(token: &TokenView, now: jiff::Timestamp) -> Vec<String> {
    let state = match &token.revoked {
        Some(revoked) => format!("revoked by {}", revoked.by),
        None if token.expires_at <= now => "expired".into(),
        None => format!("until {}", token.expires_at.strftime("%F")),
    };
    vec![token.name.to_string(), token.scopes.to_string(), state, token.created_by.clone()]
}

/// Shows who one is to the installation.
pub(crate) async fn who_am_i(at: &At, as_json: bool) -> anyhow::Result<ExitCode> {
    let me: Me = at.client().await?.get(&["v1", "me"], &[]).await?;
    if as_json {
        output::json(&me)?;
    } else {
        output::line(&format!("{} (may {})", me.name, me.scopes))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a part of the audit list.
pub(crate) async fn audit(at: &At, as_json: bool, args: &Audit) -> anyhow::Result<ExitCode> {
    let mut query: Vec<_> = args.day.iter().map(|day| ("day", day.to_string())).collect();
    query.extend(args.cursor.iter().map(|cursor| ("cursor", cursor.clone())));
    let page: AuditPage = at.client().await?.get(&["v1", "audit"], &query).await?;
    if as_json {
        output::json(&json!(page))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = page.entries.iter().map(|entry| {
        vec![
            clock(entry.at),
            entry.by.clone(),
            entry.operation.clone(),
            entry.status.map_or_else(|| "no end".into(), |status| status.to_string()),
            entry.path.clone(),
            bounded(entry.reason.as_deref().or(entry.asked.as_deref()).unwrap_or_default(), REASON_WIDTH),
        ]
    });
    output::table(&["TIME", "WHO", "WHAT", "STATUS", "OF", "WHY OR WHAT"], rows.collect())?;
    if page.entries.is_empty() {
        output::note("nobody has asked for a change on that day (UTC); --day looks at another one");
    }
    if let Some(next) = page.next {
        let day = args.day.map_or_else(String::new, |day| format!(" --day {day}"));
        output::note(&format!("older ones: pushway audit{day} --cursor {next}"));
    }
    Ok(ExitCode::SUCCESS)
}
