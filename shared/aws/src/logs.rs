//! `CloudWatch` Logs: pages and tails of streams.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use pushway_core::fact::LogPointer;
use pushway_core::plan::Place;
use pushway_core::ports::{Answer, ReadLogs};
use pushway_core::views::{LogLine, LogPage};

use crate::Aws;
use crate::errors::{code, fault};
use crate::time::from_millis;

/// Lines of one page.
const PAGE: i32 = 1_000;
/// A stream's end may answer some empty pages before the first full one (API reference, `GetLogEvents`).
const MAX_EMPTY_PAGES: usize = 5;

impl ReadLogs for Aws {
    async fn log(&self, log: &LogPointer, cursor: Option<&str>) -> Answer<LogPage> {
        let client = &self.at(&Place::default()).logs;
        let Some(page) = log_events(client, log, cursor, true, PAGE).await? else {
            // A stream appears with its first line.
            return Ok(LogPage { lines: Vec::new(), next: cursor.map(str::to_owned) });
        };
        let lines = page.events().iter().filter_map(line).collect();
        Ok(LogPage { lines, next: page.next_forward_token.or_else(|| cursor.map(str::to_owned)) })
    }

    async fn log_tail(&self, log: &LogPointer, lines: usize) -> Answer<Vec<String>> {
        tail(&self.at(&Place::default()).logs, log, lines).await
    }
}

/// The last lines of a stream, with the client of the place where it lies.
pub(crate) async fn tail(client: &Client, log: &LogPointer, lines: usize) -> Answer<Vec<String>> {
    let limit = i32::try_from(lines.clamp(1, 1_000)).unwrap_or(PAGE);
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_EMPTY_PAGES {
        let Some(page) = log_events(client, log, cursor.as_deref(), false, limit).await? else { break };
        if !page.events().is_empty() {
            let text = |event: &OutputLogEvent| event.message().unwrap_or_default().trim_end().to_owned();
            return Ok(page.events().iter().map(text).collect());
        }
        // The same token twice means that there is nothing further back.
        if page.next_backward_token == cursor {
            break;
        }
        cursor = page.next_backward_token;
    }
    Ok(Vec::new())
}

/// A page of a stream; `None` where group or stream does not exist.
async fn log_events(
    client: &Client,
    log: &LogPointer,
    cursor: Option<&str>,
    from_head: bool,
    limit: i32,
) -> Answer<Option<GetLogEventsOutput>> {
    let page = client
        .get_log_events()
        .log_group_name(&log.group)
        .log_stream_name(&log.stream)
        .start_from_head(from_head)
        .limit(limit)
        .set_next_token(cursor.map(str::to_owned))
        .send()
        .await;
    match page {
        Ok(page) => Ok(Some(page)),
        Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(fault("logs GetLogEvents", &error)),
    }
}

fn line(event: &OutputLogEvent) -> Option<LogLine> {
    let text = event.message().unwrap_or_default().trim_end_matches(['\r', '\n']).to_owned();
    Some(LogLine { at: from_millis(event.timestamp?)?, text })
}
