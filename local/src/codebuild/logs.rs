//! A build's log: spooled to a file at its own pace, shipped to `CloudWatch` Logs at the service's.
//!
//! The spool keeps memory bounded and the build unblocked; past the cap output is dropped and one line says
//! so. Secret values are masked before anything is written. It must never fail a build: a batch that
//! `CloudWatch` Logs keeps refusing is given up.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use backon::{ExponentialBuilder, Retryable as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use super::{Limits, record::Logs};
use crate::{AwsError, Emulator};

/// `PutLogEvents`: at most 1 MiB a batch, counting 26 bytes more per event.
const BATCH_BYTES: usize = 1024 * 1024;
const EVENT_OVERHEAD: usize = 26;
/// `PutLogEvents`: at most 10,000 events a batch.
const BATCH_EVENTS: usize = 10_000;
/// The longest line that is one event (256 KiB with its overhead).
pub(super) const LINE_BYTES: usize = 256 * 1024 - EVENT_OVERHEAD;
/// How often new lines are shipped.
const SHIP_EVERY: Duration = Duration::from_millis(500);
/// The pause between two batches, so that a chatty build cannot occupy the emulator.
const BATCH_PAUSE: Duration = Duration::from_millis(50);
/// How long an ended build waits for the rest of its log.
const SHIP_REST: Duration = Duration::from_secs(30);
/// Shorter secrets are not masked: they would blot out half the log and hide nothing.
const SHORTEST_MASKED: usize = 4;

/// A build's log, open for writing.
pub(super) struct Log {
    spool: Mutex<Spool>,
    is_full: AtomicBool,
    path: PathBuf,
}

struct Spool {
    file: BufWriter<File>,
    length: u64,
    bytes_left: u64,
    lines_left: u64,
    secrets: Vec<String>,
}

impl Log {
    /// A new log spooled at `path`.
    pub(super) fn open(path: &Path, limits: &Limits) -> io::Result<Self> {
        let spool = Spool {
            file: BufWriter::new(File::create(path)?),
            length: 0,
            bytes_left: limits.log_bytes,
            lines_left: limits.log_lines,
            secrets: Vec::new(),
        };
        Ok(Self { spool: Mutex::new(spool), is_full: AtomicBool::new(false), path: path.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Masks `values`, each of their lines, from now on.
    pub(super) fn hide(&self, values: &[String]) {
        let lines = values.iter().flat_map(|value| value.lines()).map(str::trim);
        let mut secrets: Vec<String> =
            lines.filter(|line| line.len() >= SHORTEST_MASKED).map(str::to_owned).collect();
        // A secret that contains another is masked whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.lock().secrets = secrets;
    }

    /// Whether output is being dropped.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// A line of the worker's own, as the agent of `CodeBuild` writes them. Never dropped.
    pub(super) fn say(&self, text: &str) {
        let time = Timestamp::now().strftime("%Y/%m/%d %H:%M:%S%.6f");
        let mut spool = self.lock();
        for line in text.lines() {
            spool.write(&format!("[Container] {time} {line}"));
        }
    }

    /// A line of a command's output.
    pub(super) fn output(&self, line: &str) {
        if self.is_full() {
            return;
        }
        let mut spool = self.lock();
        let size = (line.len() + EVENT_OVERHEAD) as u64;
        if size > spool.bytes_left || spool.lines_left == 0 {
            self.is_full.store(true, Ordering::Relaxed);
            drop(spool);
            self.say("The log is full: further output of this build is dropped. Write it to a file instead.");
            return;
        }
        spool.bytes_left -= size;
        spool.lines_left -= 1;
        spool.write(line);
    }

    /// Makes all lines readable in the spool and says how long it is.
    fn flush(&self) -> u64 {
        let mut spool = self.lock();
        // A full disk loses log lines; the build goes on.
        let _ = spool.file.flush();
        spool.length
    }
}

impl Spool {
    fn write(&mut self, line: &str) {
        let mut message = line.to_owned();
        for secret in &self.secrets {
            if message.contains(secret.as_str()) {
                message = message.replace(secret.as_str(), "***");
            }
        }
        // CloudWatch Logs refuses an empty message.
        let message = if message.is_empty() { " " } else { &message };
        let mut event =
            json!({"timestamp": Timestamp::now().as_millisecond(), "message": message}).to_string();
        event.push('\n');
        if self.file.write_all(event.as_bytes()).is_ok() {
            self.length += event.len() as u64;
        }
    }
}

/// Makes the log's stream, and its group where it is missing.
pub(super) async fn create_stream(emulator: &Emulator, logs: &Logs) -> anyhow::Result<()> {
    let stream = json!({"logGroupName": logs.group_name, "logStreamName": logs.stream_name});
    let call = |operation: &str, body: Value| {
        let target = format!("Logs_20140328.{operation}");
        async move {
            match emulator.json("logs", &target, body).await {
                Err(error) if code_of(&error) == Some("ResourceAlreadyExistsException") => Ok(()),
                other => other.map(drop),
            }
        }
    };
    match call("CreateLogStream", stream.clone()).await {
        Err(error) if code_of(&error) == Some("ResourceNotFoundException") => {
            call("CreateLogGroup", json!({"logGroupName": logs.group_name})).await?;
            call("CreateLogStream", stream).await
        }
        other => other,
    }
}

fn code_of(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<AwsError>().map(|aws| aws.code.as_str())
}

/// The task that ships a log.
pub(super) struct Shipper {
    task: JoinHandle<anyhow::Result<()>>,
    is_ended: watch::Sender<bool>,
}

impl Shipper {
    /// Begins to ship `log` to the stream of `logs`, as `emulator`.
    pub(super) fn start(log: Arc<Log>, emulator: Emulator, logs: Logs) -> Self {
        let (is_ended, ended) = watch::channel(false);
        Self { task: tokio::spawn(ship(log, emulator, logs, ended)), is_ended }
    }

    /// Ships what is left, for a bounded time.
    pub(super) async fn finish(mut self) {
        self.is_ended.send_replace(true);
        if tokio::time::timeout(SHIP_REST, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn ship(
    log: Arc<Log>,
    emulator: Emulator,
    logs: Logs,
    mut ended: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut reader = BufReader::new(File::open(&log.path).context("open the log's spool")?);
    let mut shipped = 0;
    loop {
        // Asked before the flush: what is written until then is in this round.
        let is_last = *ended.borrow();
        let length = log.flush();
        while shipped < length {
            let (events, read) = batch(&mut reader, length - shipped)?;
            shipped += read;
            put(&emulator, &logs, events).await;
            tokio::time::sleep(BATCH_PAUSE).await;
        }
        if is_last {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(SHIP_EVERY) => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }
}

/// The next batch of at most `available` bytes of the spool, and how many of them it took.
fn batch(reader: &mut BufReader<File>, available: u64) -> anyhow::Result<(Vec<Value>, u64)> {
    let (mut events, mut read, mut size) = (Vec::new(), 0, 0);
    let mut line = String::new();
    // A spooled line is never shorter than its event, and a line fits well into what is kept free.
    while read < available && events.len() < BATCH_EVENTS && size + LINE_BYTES + EVENT_OVERHEAD <= BATCH_BYTES
    {
        line.clear();
        let length = reader.read_line(&mut line).context("read the log's spool")?;
        if length == 0 {
            break;
        }
        read += length as u64;
        let event: Value = serde_json::from_str(&line).context("read a spooled line")?;
        size += event["message"].as_str().map_or(0, str::len) + EVENT_OVERHEAD;
        events.push(event);
    }
    Ok((events, read))
}

async fn put(emulator: &Emulator, logs: &Logs, events: Vec<Value>) {
    let body = json!({
        "logGroupName": logs.group_name,
        "logStreamName": logs.stream_name,
        "logEvents": events,
    });
    let send = || emulator.json("logs", "Logs_20140328.PutLogEvents", body.clone());
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(5);
    // Given up after the last pause: losing log lines is better than holding the build.
    let _ = send.retry(pauses).await;
}
