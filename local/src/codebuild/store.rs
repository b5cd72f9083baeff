//! What the worker remembers: builds, reports, and the idempotency tokens of the last minutes.
//!
//! In memory only: it lives as long as the worker. Every move is one short critical section; nothing here
//! waits or runs anything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::watch;

use super::{
    protocol::Fault,
    record::{Build, PhaseType},
    reports::Report,
};

/// How long a token is remembered (API reference, `StartBuild`: "valid for 5 minutes").
const TOKEN_LIFE: Duration = Duration::from_mins(5);

struct Entry {
    build: Build,
    stop: watch::Sender<bool>,
}

struct Token {
    at: Instant,
    input: Value,
    build: String,
}

#[derive(Default)]
struct Inner {
    builds: HashMap<String, Entry>,
    order: Vec<String>,
    numbers: HashMap<String, u64>,
    tokens: HashMap<String, Token>,
    reports: HashMap<String, Arc<Report>>,
}

/// What became of a request to start a build.
pub(super) enum Admission {
    /// The build is taken in and queued; this is its record just before, with its number.
    New(Box<Build>),
    /// The token's first request made this build.
    Known(String),
}

/// The worker's memory.
#[derive(Default)]
pub(super) struct Store(Mutex<Inner>);

impl Store {
    /// A poisoned lock still holds whole records: no move leaves one half written.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The build that `token` already started, if it did. Errors: it did so with other parameters.
    pub(super) fn repeated(&self, token: Option<&str>, input: &Value) -> Result<Option<String>, Fault> {
        self.lock().repeated(token, input)
    }

    /// Takes `build` in and gives it its number, unless `token` has started one meanwhile.
    pub(super) fn admit(
        &self,
        token: Option<String>,
        input: Value,
        build: Build,
    ) -> Result<Admission, Fault> {
        let mut inner = self.lock();
        if let Some(id) = inner.repeated(token.as_deref(), &input)? {
            return Ok(Admission::Known(id));
        }
        if let Some(token) = token {
            inner.tokens.insert(token, Token { at: Instant::now(), input, build: build.id.clone() });
        }
        let number = inner.numbers.entry(build.project_name.clone()).or_default();
        *number += 1;
        let submitted = Build { build_number: *number, ..build };
        inner.order.push(submitted.id.clone());
        let mut entry = Entry { build: submitted.clone(), stop: watch::channel(false).0 };
        entry.build.begin(PhaseType::Queued);
        inner.builds.insert(submitted.id.clone(), entry);
        Ok(Admission::New(Box::new(submitted)))
    }

    /// The build of an id or an ARN.
    pub(super) fn get(&self, id: &str) -> Option<Build> {
        self.lock().builds.get(bare(id)).map(|entry| entry.build.clone())
    }

    /// Changes a build and answers the result.
    pub(super) fn update(&self, id: &str, change: impl FnOnce(&mut Build)) -> Option<Build> {
        let mut inner = self.lock();
        let build = &mut inner.builds.get_mut(id)?.build;
        change(build);
        Some(build.clone())
    }

    /// Asks a build to stop, by id or ARN; answers it as it is now.
    pub(super) fn stop(&self, id: &str) -> Option<Build> {
        let inner = self.lock();
        let entry = inner.builds.get(bare(id))?;
        entry.stop.send_replace(true);
        Some(entry.build.clone())
    }

    /// Asks every build to stop.
    pub(super) fn stop_all(&self) {
        for entry in self.lock().builds.values() {
            entry.stop.send_replace(true);
        }
    }

    /// Turns true when the build has been asked to stop.
    pub(super) fn stop_signal(&self, id: &str) -> Option<watch::Receiver<bool>> {
        Some(self.lock().builds.get(id)?.stop.subscribe())
    }

    /// Ids of all builds, or of one project's, oldest first.
    pub(super) fn ids(&self, project: Option<&str>) -> Vec<String> {
        let inner = self.lock();
        let of_project = |id: &&String| {
            project.is_none_or(|name| inner.builds.get(*id).is_some_and(|e| e.build.project_name == name))
        };
        inner.order.iter().filter(of_project).cloned().collect()
    }

    /// Takes a report in.
    pub(super) fn add_report(&self, report: Report) {
        self.lock().reports.insert(report.arn.clone(), Arc::new(report));
    }

    /// The report of an ARN.
    pub(super) fn report(&self, arn: &str) -> Option<Arc<Report>> {
        self.lock().reports.get(arn).cloned()
    }
}

impl Inner {
    fn repeated(&mut self, token: Option<&str>, input: &Value) -> Result<Option<String>, Fault> {
        self.tokens.retain(|_, token| token.at.elapsed() < TOKEN_LIFE);
        match token.and_then(|token| self.tokens.get(token)) {
            None => Ok(None),
            Some(known) if known.input == *input => Ok(Some(known.build.clone())),
            Some(_) => Err(Fault::invalid(
                "The idempotency token was already used with other parameters; use a new token",
            )),
        }
    }
}

/// The id in an id or an ARN (`arn:…:build/project:uuid`).
fn bare(id: &str) -> &str {
    match id.split_once(":build/") {
        Some((_, bare)) if id.starts_with("arn:") => bare,
        _ => id,
    }
}
