//! `history-pages`: what a page of the history costs with a thousand runs in the table and with a million.
//!
//! The real `History` of `shared/aws` asks a server that speaks `DynamoDB`'s protocol and keeps each index in the order
//! of its keys. Two tables of `template.yaml`'s layout lie beside each other in it and are asked by turns, so that
//! whatever else the machine does falls on both. It asserts the promise: one query and at most three read units for 25
//! runs, and 99 of 100 answers at a million within 1.2 times what they take at a thousand.

#[path = "../figures.rs"]
mod figures;
mod runs;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use pushway_aws::account::Account;
use pushway_aws::{Aws, Meter};
use pushway_core::ports::{History as _, RunFilter, RunQuery};
use serde_json::{Value, json};

use figures::{Figures, say};
use runs::Fill;
use server::Server;

/// What the promise says of the slowest of 100 answers, many runs by few.
const BUDGET: f64 = 1.2;
/// And of a page's read units.
const UNITS: f64 = 3.0;
/// Runs on a page.
const PAGE: usize = 25;
/// Answers of each kind and table that are thrown away first.
const WARM_UP: usize = 20;

#[derive(Parser)]
#[command(max_term_width = 100)]
struct Cli {
    /// Runs in the small table.
    #[arg(long, default_value_t = 1_000)]
    few: u32,
    /// Runs in the large one.
    #[arg(long, default_value_t = 1_000_000)]
    many: u32,
    /// Pages of each kind that are asked of each table.
    #[arg(long, default_value_t = 1_000)]
    samples: usize,
    /// Keep the tables in this folder, and take them from there if they are filled.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// One of the two tables.
struct Table {
    aws: Aws,
    meter: std::sync::Arc<Meter>,
    fill: Fill,
}

/// What pages of one kind came to on one table.
struct Measured {
    times: Figures,
    queries: u64,
    units: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(cli: &Cli) -> anyhow::Result<bool> {
    let server = Server::start(cli.data.as_deref()).await?;
    let few = table(&server, cli.few).await?;
    let many = table(&server, cli.many).await?;
    let mut kinds = serde_json::Map::new();
    let mut holds = true;
    for (name, filter) in few.fill.filters() {
        let (few, many) =
            compare(&few, &many, &filter, cli.samples).await.with_context(|| name.to_owned())?;
        let ratio = many.times.ratio(&few.times, |figures| figures.p99);
        let is_kept = ratio <= BUDGET && [&few, &many].iter().all(|it| it.queries == 1 && it.units <= UNITS);
        holds &= is_kept;
        say(&format!(
            "{name}: {} query, {} read units; 99 of 100 within {:.1} ms of {} runs and {:.1} ms of {}: {ratio:.2} times",
            many.queries,
            many.units,
            figures::ms(few.times.p99),
            cli.few,
            figures::ms(many.times.p99),
            cli.many,
        ));
        let told = |it: &Measured| json!({ "ms": it.times, "queries": it.queries, "read_units": it.units });
        let told = json!({ "few": told(&few), "many": told(&many), "ratio_p99": ratio, "holds": is_kept });
        kinds.insert(name.to_owned(), told);
    }
    let report: Value = json!({ "few": cli.few, "many": cli.many, "pages": kinds, "holds": holds });
    figures::print(&serde_json::to_string_pretty(&report)?)?;
    if !holds {
        say("the promise does not hold: see `holds` above");
    }
    Ok(holds)
}

/// The table with so many runs, filled where it is not.
async fn table(server: &Server, count: u32) -> anyhow::Result<Table> {
    let name = format!("runs-{count}");
    let account = Account::emulated(server.endpoint(), server::REGION, server::credentials()).await;
    let (aws, meter) = account.ports(&name).metered();
    let fill = Fill::new(count)?;
    if server.create(&name).await? || !fill.is_there(&aws).await? {
        let begun = Instant::now();
        fill.write(&aws).await?;
        say(&format!("{count} runs stored in {:.0} s", begun.elapsed().as_secs_f64()));
    }
    Ok(Table { aws, meter, fill })
}

/// Asks both tables for pages by turns.
async fn compare(
    few: &Table,
    many: &Table,
    filter: &RunFilter,
    samples: usize,
) -> anyhow::Result<(Measured, Measured)> {
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP {
        page(few, filter).await?;
        page(many, filter).await?;
    }
    few.meter.take();
    many.meter.take();
    let (mut worst_few, mut worst_many) = ((0, 0.0), (0, 0.0));
    for turn in 0..samples {
        // Who comes second finds warmer caches, so they change places.
        for is_many in [turn % 2 == 0, turn % 2 != 0] {
            let (table, times, worst) = if is_many {
                (many, &mut of_many, &mut worst_many)
            } else {
                (few, &mut of_few, &mut worst_few)
            };
            times.push(page(table, filter).await?);
            let (queries, units) = table.meter.take();
            *worst = (queries.max(worst.0), f64::max(units, worst.1));
        }
    }
    let of = |times, (queries, units)| Measured { times: Figures::of(times), queries, units };
    Ok((of(of_few, worst_few), of(of_many, worst_many)))
}

/// The newest page of a list.
async fn page(table: &Table, filter: &RunFilter) -> anyhow::Result<Duration> {
    let query = RunQuery { filter: filter.clone(), ..RunQuery::newest(PAGE, table.fill.now()) };
    let begun = Instant::now();
    let page = table.aws.list(&query).await?;
    let took = begun.elapsed();
    ensure!(page.runs.len() == PAGE, "a page of {} runs instead of {PAGE}", page.runs.len());
    Ok(took)
}
