//! The table in memory: runs, plans, deliveries, environments, waits, lists.
//!
//! Writes are conditional as they are in `DynamoDB`; reads of records are consistent. Lists see what the
//! records say at that moment.

use jiff::Timestamp;

use super::World;
use crate::environment::{EnvironmentRecord, ServiceClaim};
use crate::fact::Entry;
use crate::ids::{CommitSha, DeliveryId, EnvironmentName, PipelineName, RunId};
use crate::keys;
use crate::listing::{Gathering, RunList, Verdict};
use crate::plan::Plan;
use crate::ports::{
    Answer, Deliveries, DeliveryOutcome, Environments, Fault, History, Hooks, NewRun, Overdue, Plans,
    ReadDeliveries, ReadRuns, Recorded, RecordedDelivery, RunPage, RunQuery, Runs, Waits, Written,
};
use crate::run::{Run, Status};
use crate::source::{Hook, Provider};
use crate::summary::RunSummary;
use crate::views::ServiceRef;
use crate::wait::{SWEEP_PATIENCE, Subject, WAIT_PATIENCE, Wait};

impl ReadRuns for World {
    async fn load(&self, id: RunId) -> Answer<Option<Run>> {
        self.call("load", id, |state| Ok(state.runs.get(&id).map(|(run, _)| run.clone()))).await
    }
}

impl Runs for World {
    async fn append(&self, run: &Run, entry: &Entry) -> Answer<Written> {
        self.call("append", format!("{} {}", run.id, fact_name(entry)), |state| {
            let Some((stored, journal)) = state.runs.get_mut(&run.id) else {
                return Err(Fault::Permanent(format!("run {} is not stored", run.id)));
            };
            if stored.version != entry.seq {
                // A writer that meets its own write has written.
                let ours = stored == run && journal.last() == Some(entry);
                return Ok(if ours { Written::Stored } else { Written::Conflict });
            }
            *stored = run.clone();
            journal.push(entry.clone());
            Ok(Written::Stored)
        })
        .await
    }
}

fn fact_name(entry: &Entry) -> String {
    let name = |json: serde_json::Value| Some(json.get("fact")?.as_str()?.to_owned());
    serde_json::to_value(&entry.fact).ok().and_then(name).unwrap_or_default()
}

impl Plans for World {
    async fn put_plan(&self, id: RunId, plan: &Plan) -> Answer<()> {
        self.call("put_plan", id, |state| {
            state.plans.insert(id, plan.clone());
            Ok(())
        })
        .await
    }

    async fn plan(&self, id: RunId) -> Answer<Option<Plan>> {
        self.call("plan", id, |state| Ok(state.plans.get(&id).cloned())).await
    }
}

impl Deliveries for World {
    async fn record_run(&self, new: &NewRun) -> Answer<Recorded> {
        let source = &new.run.source;
        let key = keys::delivery(source.provider, &source.hook, &source.delivery).pk;
        self.call("record_run", new.run.id, |state| {
            let known = state.deliveries.get(&key).map(|known| known.outcome.clone());
            let known = known.or(state.pushes.get(&new.content_key).copied().map(DeliveryOutcome::Run));
            if let Some(known) = known {
                let ours = known == DeliveryOutcome::Run(new.run.id);
                return Ok(if ours { Recorded::New } else { Recorded::Before(known) });
            }
            let outcome = DeliveryOutcome::Run(new.run.id);
            state.deliveries.insert(key, RecordedDelivery { outcome, at: new.run.received_at });
            state.pushes.insert(new.content_key.clone(), new.run.id);
            state.runs.insert(new.run.id, (new.run.clone(), vec![new.entry.clone()]));
            state.carried.insert(new.run.id, new.files.clone());
            state.histories.insert(new.run.id, new.history.clone());
            Ok(Recorded::New)
        })
        .await
    }

    async fn record_ignored(
        &self,
        provider: Provider,
        hook: &Hook,
        delivery: &DeliveryId,
        rule: &str,
        now: Timestamp,
    ) -> Answer<Recorded> {
        let key = keys::delivery(provider, &hook.id, delivery).pk;
        self.call("record_ignored", delivery, |state| {
            if let Some(known) = state.deliveries.get(&key) {
                return Ok(Recorded::Before(known.outcome.clone()));
            }
            let outcome = DeliveryOutcome::Ignored(rule.to_owned());
            state.deliveries.insert(key, RecordedDelivery { outcome, at: now });
            Ok(Recorded::New)
        })
        .await
    }
}

impl ReadDeliveries for World {
    async fn delivery(&self, hook: &Hook, delivery: &DeliveryId) -> Answer<Option<RecordedDelivery>> {
        let key = keys::delivery(hook.provider, &hook.id, delivery).pk;
        self.call("delivery", delivery, |state| Ok(state.deliveries.get(&key).cloned())).await
    }
}

impl Hooks for World {
    async fn hook(&self, provider: Provider, id: &str) -> Answer<Option<Hook>> {
        let key = (provider.as_str(), id.to_owned());
        self.call("hook", id, |state| Ok(state.hooks.get(&key).cloned())).await
    }
}

impl Environments for World {
    async fn environment(
        &self,
        pipeline: &PipelineName,
        name: &EnvironmentName,
    ) -> Answer<EnvironmentRecord> {
        let key = (pipeline.clone(), name.clone());
        self.call("environment", name, |state| {
            let fresh = || EnvironmentRecord::new(pipeline.clone(), name.clone());
            Ok(state.environments.get(&key).cloned().unwrap_or_else(fresh))
        })
        .await
    }

    async fn put_environment(&self, record: &EnvironmentRecord) -> Answer<Written> {
        let key = (record.pipeline.clone(), record.name.clone());
        self.call("put_environment", &record.name, |state| {
            let stored = state.environments.get(&key);
            if stored == Some(record) {
                return Ok(Written::Stored);
            }
            if stored.map_or(0, |stored| stored.version) + 1 != record.version {
                return Ok(Written::Conflict);
            }
            state.environments.insert(key, record.clone());
            Ok(Written::Stored)
        })
        .await
    }

    async fn service_claim(&self, at: &ServiceRef) -> Answer<Option<ServiceClaim>> {
        self.call("service_claim", &at.service, |state| Ok(state.service_claims.get(at).cloned())).await
    }

    async fn put_service_claim(&self, claim: &ServiceClaim) -> Answer<Written> {
        self.call("put_service_claim", &claim.service.service, |state| {
            let stored = state.service_claims.get(&claim.service);
            if stored == Some(claim) {
                return Ok(Written::Stored);
            }
            if stored.map_or(0, |stored| stored.version) + 1 != claim.version {
                return Ok(Written::Conflict);
            }
            state.service_claims.insert(claim.service.clone(), claim.clone());
            Ok(Written::Stored)
        })
        .await
    }
}

impl Waits for World {
    async fn open(&self, wait: &Wait) -> Answer<Written> {
        self.call("open", format!("{:?}", wait.subject), |state| {
            let held = state.waits.iter().position(|open| open.subject == wait.subject);
            if let Some(held) = held {
                let other = &state.waits[held];
                if other.run != wait.run && other.deadline >= wait.opened_at {
                    return Ok(Written::Conflict);
                }
                state.waits.remove(held);
            }
            state.waits.push(wait.clone());
            Ok(Written::Stored)
        })
        .await
    }

    async fn find(&self, subject: &Subject) -> Answer<Option<Wait>> {
        self.call("find", format!("{subject:?}"), |state| {
            Ok(state.waits.iter().find(|open| open.subject == *subject).cloned())
        })
        .await
    }

    async fn close(&self, wait: &Wait) -> Answer<()> {
        self.call("close", format!("{:?}", wait.subject), |state| {
            state.waits.retain(|open| open.subject != wait.subject || open.token != wait.token);
            Ok(())
        })
        .await
    }
}

impl Overdue for World {
    async fn waits(&self, now: Timestamp) -> Answer<Vec<Wait>> {
        self.call("waits", "all", |state| {
            let old = |wait: &&Wait| wait.opened_at < now - WAIT_PATIENCE;
            let mut waits: Vec<Wait> = state.waits.iter().filter(old).cloned().collect();
            waits.sort_by_key(|wait| wait.opened_at);
            Ok(waits)
        })
        .await
    }

    async fn silent_runs(&self, now: Timestamp) -> Answer<Vec<RunId>> {
        self.call("silent_runs", "all", |state| {
            let silent = |run: &&Run| !run.status.is_terminal() && run.updated_at < now - SWEEP_PATIENCE;
            let runs = state.runs.values().map(|(run, _)| run);
            Ok(runs.filter(silent).map(|run| run.id).collect())
        })
        .await
    }
}

impl History for World {
    async fn running(&self) -> Answer<Vec<RunSummary>> {
        self.call("running", "runs", |state| {
            let runs = state.runs.values().rev().map(|(run, _)| run);
            Ok(runs.filter(|run| !run.status.is_terminal()).take(100).map(RunSummary::from).collect())
        })
        .await
    }

    async fn list(&self, query: &RunQuery) -> Answer<RunPage> {
        self.call("list", query.limit, |state| {
            let list = query.filter.list();
            let is_in_list = |run: &&Run| {
                query.end().is_none_or(|end| run.id < end)
                    && match list {
                        RunList::Commit(commit) => run.source.commit == *commit,
                        // A push that started nothing is kept, but in no other list.
                        _ if run.status == Status::Ignored => false,
                        RunList::Days => true,
                        RunList::Pipeline(pipeline) => run.pipeline.as_ref() == Some(pipeline),
                        RunList::Ref(pipeline, git_ref) => {
                            run.pipeline.as_ref() == Some(pipeline) && run.source.git_ref == *git_ref
                        }
                    }
            };
            let mut page = Gathering::new(query);
            for run in state.runs.values().rev().map(|(run, _)| run).filter(is_in_list) {
                let summary = RunSummary::from(run);
                let is_unsure = query.filter.judge(&summary) == Verdict::Unsure;
                page.take(summary, is_unsure.then_some(run));
                if page.is_done() {
                    break;
                }
            }
            Ok(page.page())
        })
        .await
    }

    async fn of_commit(&self, commit: &CommitSha) -> Answer<Vec<RunSummary>> {
        self.call("of_commit", commit, |state| {
            let runs = state.runs.values().rev().map(|(run, _)| run);
            Ok(runs.filter(|run| run.source.commit == *commit).map(RunSummary::from).collect())
        })
        .await
    }

    async fn journal(&self, id: RunId) -> Answer<Vec<Entry>> {
        self.call("journal", id, |state| {
            Ok(state.runs.get(&id).map(|(_, journal)| journal.clone()).unwrap_or_default())
        })
        .await
    }
}
