//! The forge in memory: secrets, files at a commit, heads; and the logs.
//!
//! Nothing is fetched and nothing is checked: what a test put there is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Behaviour, World};
use crate::fact::LogPointer;
use crate::forge::PullRequestView;
use crate::ids::{CommitSha, RefName, RepositoryPath, RunId};
use crate::ports::{
    Answer, Fault, HeadView, Heads, ProbeAnswer, ProbeRequest, Probed, Probes, PullRequests, ReadLogs,
    RepositoryFiles, Secrets,
};
use crate::signature::Secret;
use crate::source::Hook;
use crate::views::{LogLine, LogPage};

impl Secrets for World {
    async fn secret(&self, name: &str) -> Answer<Secret> {
        self.call("secret", name, |state| {
            let text = state.secrets.get(name).cloned();
            let secret = text.and_then(Secret::new);
            secret.ok_or_else(|| Fault::Permanent(format!("there is no secret {name:?}")))
        })
        .await
    }

    async fn old_secret(&self, name: &str) -> Answer<Option<Secret>> {
        self.call("old_secret", name, |state| Ok(state.old_secrets.get(name).cloned().and_then(Secret::new)))
            .await
    }
}

impl PullRequests for World {
    async fn pull_request(&self, _hook: &Hook, number: u64) -> Answer<Option<PullRequestView>> {
        self.call("pull_request", number, |state| Ok(state.pull_requests.get(&number).cloned())).await
    }
}

impl RepositoryFiles for World {
    async fn file(
        &self,
        run: RunId,
        _hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        let key = (commit.clone(), path.clone());
        self.call("file", path, |state| {
            let carried = state.carried.get(&run).and_then(|files| files.get(path));
            Ok(carried.or_else(|| state.files.get(&key)).cloned())
        })
        .await
    }

    async fn folder(
        &self,
        run: RunId,
        _hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Answer<Vec<RepositoryPath>> {
        let inside = |file: &&RepositoryPath| {
            let rest = file.as_str().strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|name| !name.contains('/'))
        };
        self.call("folder", path, |state| {
            let carried = state.carried.get(&run).into_iter().flatten().map(|(file, _)| file);
            let stored = state.files.keys().filter(|(at, _)| at == commit).map(|(_, file)| file);
            let files: std::collections::BTreeSet<&RepositoryPath> =
                carried.chain(stored).filter(inside).collect();
            Ok(files.into_iter().cloned().collect())
        })
        .await
    }
}

impl Heads for World {
    async fn head(&self, _hook: &Hook, git_ref: &RefName) -> Answer<Option<HeadView>> {
        self.call("head", git_ref, |state| Ok(state.heads.get(git_ref).cloned())).await
    }
}

impl ReadLogs for World {
    async fn log(&self, log: &LogPointer, cursor: Option<&str>) -> Answer<LogPage> {
        let from = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        self.call("log", &log.stream, |state| {
            // A stream appears with its first line.
            let Some(lines) = state.logs.get(&(log.group.clone(), log.stream.clone())) else {
                return Ok(LogPage { lines: Vec::new(), next: cursor.map(str::to_owned) });
            };
            let line = |text: &String| LogLine { at: Timestamp::UNIX_EPOCH, text: text.clone() };
            let page = lines.iter().skip(from).map(line).collect();
            Ok(LogPage { lines: page, next: Some(lines.len().to_string()) })
        })
        .await
    }

    async fn log_tail(&self, log: &LogPointer, lines: usize) -> Answer<Vec<String>> {
        self.call("log_tail", &log.stream, |state| {
            let all = state.logs.get(&(log.group.clone(), log.stream.clone())).cloned().unwrap_or_default();
            Ok(all[all.len().saturating_sub(lines)..].to_vec())
        })
        .await
    }
}

impl World {
    /// Lets a host be answered by what a service runs.
    pub fn add_url(&self, host: &str, cluster: &str, service: &str) {
        self.lock().urls.insert(host.to_owned(), (cluster.to_owned(), service.to_owned()));
    }

    /// Lets whatever stands before the services show for so long what ran before: a name that was looked up
    /// before, a balancer that still drains.
    pub fn set_front_lag(&self, lag: SignedDuration) {
        self.lock().front_lag = lag;
    }

    /// Scripts the next probes' answers; after them, what runs answers again.
    pub fn script_probes(&self, probes: impl IntoIterator<Item = Probed>) {
        self.lock().probes.extend(probes);
    }
}

/// An answer without headers, at once.
pub fn answered(status: u16, body: &str) -> Probed {
    Probed::Answer(answer(status, body))
}

fn answer(status: u16, body: &str) -> ProbeAnswer {
    ProbeAnswer { status, body: body.to_owned(), is_whole: true, ..ProbeAnswer::default() }
}

impl Probes for World {
    async fn probe(&self, request: &ProbeRequest) -> Probed {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let probed = self
            .call("probe", &request.url, |state| {
                if let Some(scripted) = state.probes.pop_front() {
                    return Ok(scripted);
                }
                let Some((cluster, service)) = state.urls.get(&host) else {
                    return Ok(Probed::Nothing(format!("{host} can't be resolved")));
                };
                let shown = state.ecs.shows(cluster, service, state.now - state.front_lag);
                let Some((definition, version)) = shown else {
                    return Ok(Probed::Nothing("connection refused".into()));
                };
                let (status, body) = match state.ecs.behaviour(&definition) {
                    Behaviour::Sick(status) => (status, "sick"),
                    _ => (200, "ok"),
                };
                let answer =
                    ProbeAnswer { headers: vec![("x-version".to_owned(), version)], ..answer(status, body) };
                Ok(Probed::Answer(answer))
            })
            .await;
        probed.unwrap_or_else(|fault| Probed::Nothing(fault.to_string()))
    }

    async fn pause(&self, time: Duration) {
        self.advance(SignedDuration::try_from(time).unwrap_or_default());
    }
}
