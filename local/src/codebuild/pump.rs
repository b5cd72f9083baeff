//! The output of a build's shell, line by line into the log, and the ends of its steps out of it.
//!
//! The shell announces the end of a step on the same stream as the output, after a mark that no one else
//! knows, so that a step's output is always read before its end. Memory is one line; when the log is full
//! the stream is skimmed for marks only, so that a build that prints a gigabyte is not slowed.

use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    sync::mpsc::UnboundedSender,
};

use super::logs::{LINE_BYTES, Log};

/// The first byte of a mark: ASCII's record separator, rare enough to search for quickly.
const SEPARATOR: u8 = 0x1e;
/// The longest announcement after a separator.
const ANNOUNCEMENT_BYTES: u64 = 128;
const CHUNK_BYTES: usize = 64 * 1024;

/// The end of a step: its number and the status of its last command.
pub(super) type StepEnd = (usize, i32);

/// Reads `stream` to its end. `mark` is what follows the separator in an announcement.
pub(super) async fn pump(
    stream: impl AsyncRead + Unpin,
    mark: String,
    log: Arc<Log>,
    ends: UnboundedSender<StepEnd>,
) {
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, stream);
    let mut line = Vec::new();
    // The shell begins an announcement on a new line; the empty line this may leave is not output.
    let mut is_blank_held = false;
    loop {
        let end = if log.is_full() {
            skim(&mut reader, &mut line, &mark).await
        } else {
            line.clear();
            let read = (&mut reader).take(LINE_BYTES as u64).read_until(b'\n', &mut line).await;
            if matches!(read, Ok(1..)) { Ok(announced(&line, &mark)) } else { Err(()) }
        };
        let Ok(end) = end else { break };
        if let Some(end) = end {
            is_blank_held = false;
            let _ = ends.send(end);
        } else if !log.is_full() {
            if std::mem::replace(&mut is_blank_held, line == b"\n") {
                log.output("");
            }
            if !is_blank_held {
                log.output(&text(&line));
            }
        }
    }
}

/// Drops output until the next separator; what follows may be an announcement.
async fn skim<R: AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
    line: &mut Vec<u8>,
    mark: &str,
) -> Result<Option<StepEnd>, ()> {
    line.clear();
    let read = reader.take(CHUNK_BYTES as u64).read_until(SEPARATOR, line).await;
    if !matches!(read, Ok(1..)) {
        return Err(());
    }
    if line.last() != Some(&SEPARATOR) {
        return Ok(None);
    }
    line.clear();
    line.push(SEPARATOR);
    let read = reader.take(ANNOUNCEMENT_BYTES).read_until(b'\n', line).await;
    if matches!(read, Ok(1..)) { Ok(announced(line, mark)) } else { Err(()) }
}

fn announced(line: &[u8], mark: &str) -> Option<StepEnd> {
    let rest = line.strip_prefix(&[SEPARATOR])?.strip_prefix(mark.as_bytes())?;
    let mut numbers = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The line without its end, readable whatever its bytes.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}
