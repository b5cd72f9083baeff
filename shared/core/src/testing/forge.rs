//! The forge in memory: secrets, files at a commit, heads; and the logs.
//!
//! Nothing is fetched and nothing is checked: what a test put there is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Behaviour, World};
use crate::fact::LogPointer;
use crate::ids::{RefName, RepositoryPath, RunId};
use crate::ports::{Answer, Fault, HeadView, Heads, Probed, Probes, ReadLogs, RepositoryFiles, Secrets};
use crate::signature::Secret;
use crate::source::{Hook, Source};
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
}

impl RepositoryFiles for World {
    async fn file(
        &self,
        run: RunId,
        _hook: &Hook,
        source: &Source,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        let key = (source.commit.clone(), path.clone());
        self.call("file", path, |state| {
            let carried = state.carried.get(&run).and_then(|files| files.get(path));
            Ok(carried.or_else(|| state.files.get(&key)).cloned())
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
            let lines = state.logs.get(&(log.group.clone(), log.stream.clone()));
            let lines = lines.map(Vec::as_slice).unwrap_or_default();
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

    /// Scripts the next probes' answers; after them, what runs answers again.
    pub fn script_probes(&self, probes: impl IntoIterator<Item = Probed>) {
        self.lock().probes.extend(probes);
    }
}

impl Probes for World {
    async fn probe(&self, url: &url::Url, _timeout: Duration) -> Probed {
        let host = url.host_str().unwrap_or_default().to_owned();
        let probed = self
            .call("probe", url, |state| {
                if let Some(scripted) = state.probes.pop_front() {
                    return Ok(scripted);
                }
                let Some((cluster, service)) = state.urls.get(&host) else {
                    return Ok(Probed::Nothing(format!("{host} can't be resolved")));
                };
                Ok(match state.ecs.serves(cluster, service) {
                    None => Probed::Nothing("connection refused".into()),
                    Some(Behaviour::Sick(status)) => Probed::Answer { status, body: "sick".into() },
                    Some(_) => Probed::Answer { status: 200, body: "ok".into() },
                })
            })
            .await;
        probed.unwrap_or_else(|fault| Probed::Nothing(fault.to_string()))
    }

    async fn pause(&self, time: Duration) {
        self.advance(SignedDuration::try_from(time).unwrap_or_default());
    }
}
