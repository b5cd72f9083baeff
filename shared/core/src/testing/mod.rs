//! The world in memory: every port implemented without AWS, with a clock and faults that a test sets.
//!
//! `World` keeps what the real services would keep and answers with their semantics: conditional writes,
//! deliveries recorded once, builds and rollouts that take time. Time moves only when a test moves it.
//! Every call is numbered and written down, and any call can be made to fail, to lose its answer or to
//! kill its caller. Nothing here decides anything for Pushway.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::delivery::Carried;
use crate::environment::{EnvironmentRecord, ServiceClaim};
use crate::fact::{Entry, LogPointer};
use crate::figures::Figures;
use crate::forge::PullRequestView;
use crate::ids::{CommitSha, Digest, EnvironmentName, PipelineName, RefName, RepositoryPath, RunId};
use crate::plan::Plan;
use crate::ports::{Clock, HeadView, Probed, Random, RecordedDelivery};
use crate::run::Run;
use crate::source::{Hook, Provider};
use crate::views::ServiceRef;
use crate::wait::Wait;

mod access;
mod artifacts;
mod branches;
mod builds;
mod cloudwatch;
mod ecs;
mod ecs_hooks;
mod ecs_ports;
mod ecs_records;
mod ecs_tasks;
mod ecs_time;
mod faults;
mod figures;
mod forge;
mod lists;
mod records;
mod schedules;
mod test_cases;
mod workflow;

pub use access::{FakeIssuer, Redeeming};
pub use builds::{Build, BuildScript, digest_of};
pub use ecs::{Behaviour, Breaker, FakeService, Manner};
pub use ecs_hooks::HookCall;
pub use ecs_records::Record;
pub use ecs_tasks::{FakeTask, TaskScript};
pub use faults::{Call, Injected};
pub use forge::answered;
pub use schedules::FakeStarter;
pub use workflow::TokenState;

/// The world in memory. Shared by reference, as the real ports are.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    /// Set once, since settings are lent out.
    issuer: access::Set,
}

/// Everything the world holds.
#[derive(Debug)]
struct State {
    access: access::Access,
    now: Timestamp,
    randomness: u64,
    faults: faults::Faults,
    runs: BTreeMap<RunId, (Run, Vec<Entry>)>,
    figures: BTreeMap<RunId, Figures>,
    has_public_badges: bool,
    plans: BTreeMap<RunId, Plan>,
    deliveries: BTreeMap<String, RecordedDelivery>,
    pushes: BTreeMap<String, RunId>,
    carried: BTreeMap<RunId, BTreeMap<RepositoryPath, String>>,
    histories: BTreeMap<RunId, Vec<Carried>>,
    hooks: BTreeMap<(&'static str, String), Hook>,
    environments: BTreeMap<(PipelineName, EnvironmentName), EnvironmentRecord>,
    service_claims: HashMap<ServiceRef, ServiceClaim>,
    waits: Vec<Wait>,
    secrets: BTreeMap<String, String>,
    old_secrets: BTreeMap<String, String>,
    pull_requests: BTreeMap<u64, PullRequestView>,
    files: BTreeMap<(CommitSha, RepositoryPath), String>,
    heads: BTreeMap<RefName, HeadView>,
    repositories: branches::Repositories,
    workflow: workflow::Workflow,
    builds: builds::Builds,
    tags: BTreeMap<String, Digest>,
    ecs: ecs::Ecs,
    tasks: ecs_tasks::Tasks,
    starters: Vec<FakeStarter>,
    cloudwatch: cloudwatch::CloudWatch,
    logs: BTreeMap<(String, String), Vec<String>>,
    probes: VecDeque<Probed>,
    front_lag: SignedDuration,
    urls: BTreeMap<String, (String, String)>,
    tests: test_cases::Tests,
    events: Vec<Event>,
}

/// An event that AWS would send.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it is sent.
    pub at: Timestamp,
    /// The function whose rule matches it: `build-completed` or `deploy-progress`.
    pub function: &'static str,
    /// The event as `EventBridge` delivers it.
    pub payload: serde_json::Value,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty world in the year 2026.
    pub fn new() -> Self {
        let state = State {
            access: access::Access::default(),
            now: Timestamp::from_second(1_790_000_000).unwrap_or_default(),
            randomness: 0,
            faults: faults::Faults::default(),
            runs: BTreeMap::new(),
            figures: BTreeMap::new(),
            has_public_badges: false,
            plans: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            pushes: BTreeMap::new(),
            carried: BTreeMap::new(),
            histories: BTreeMap::new(),
            hooks: BTreeMap::new(),
            environments: BTreeMap::new(),
            service_claims: HashMap::new(),
            waits: Vec::new(),
            secrets: BTreeMap::new(),
            old_secrets: BTreeMap::new(),
            pull_requests: BTreeMap::new(),
            files: BTreeMap::new(),
            heads: BTreeMap::new(),
            repositories: branches::Repositories::default(),
            workflow: workflow::Workflow::default(),
            builds: builds::Builds::default(),
            tags: BTreeMap::new(),
            ecs: ecs::Ecs::default(),
            tasks: ecs_tasks::Tasks::default(),
            starters: Vec::new(),
            cloudwatch: cloudwatch::CloudWatch::default(),
            logs: BTreeMap::new(),
            probes: VecDeque::new(),
            front_lag: SignedDuration::ZERO,
            urls: BTreeMap::new(),
            tests: test_cases::Tests::default(),
            events: Vec::new(),
        };
        Self { state: Mutex::new(state), issuer: access::Set::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.now;
        state.pass(now);
        state
    }

    /// Moves the clock, by a negative time too; what happens until then happens.
    pub fn advance(&self, time: SignedDuration) {
        self.lock().now += time;
    }

    /// Sets the clock.
    pub fn set_now(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// When something of itself happens next: a build ends, a task starts, an event is sent.
    pub fn next_change(&self) -> Option<Timestamp> {
        let state = self.lock();
        let events = state.events.iter().map(|event| event.at);
        let changes = events
            .chain(state.builds.next_change(state.now))
            .chain(state.ecs.next_change())
            .chain(state.tasks.next_change());
        changes.min()
    }

    /// The events that are due, oldest first; each is given once.
    pub fn take_events(&self) -> Vec<Event> {
        let mut state = self.lock();
        let now = state.now;
        let (mut due, later): (Vec<_>, Vec<_>) = state.events.drain(..).partition(|event| event.at <= now);
        state.events = later;
        due.sort_by_key(|event| event.at);
        due
    }

    /// Connects a repository.
    pub fn add_hook(&self, hook: Hook) {
        self.lock().hooks.insert((hook.provider.as_str(), hook.id.to_string()), hook);
    }

    /// Disconnects a repository.
    pub fn remove_hook(&self, provider: Provider, id: &str) {
        self.lock().hooks.remove(&(provider.as_str(), id.to_owned()));
    }

    /// Keeps a secret. One of that name that is there already becomes the old one, as it does in Secrets
    /// Manager.
    pub fn add_secret(&self, name: &str, text: &str) {
        let mut state = self.lock();
        if let Some(old) = state.secrets.insert(name.to_owned(), text.to_owned()) {
            state.old_secrets.insert(name.to_owned(), old);
        }
    }

    /// What the delivery of a run told of older commits.
    pub fn stored_history(&self, id: RunId) -> Vec<Carried> {
        self.lock().histories.get(&id).cloned().unwrap_or_default()
    }

    /// Opens a pull request, or changes it.
    pub fn set_pull_request(&self, view: PullRequestView) {
        self.lock().pull_requests.insert(view.request.number, view);
    }

    /// Puts a file into a commit.
    pub fn add_file(&self, commit: &CommitSha, path: &RepositoryPath, text: &str) {
        self.lock().files.insert((commit.clone(), path.clone()), text.to_owned());
    }

    /// Points a ref at a commit.
    pub fn set_head(&self, git_ref: &RefName, head: Option<HeadView>) {
        let heads = &mut self.lock().heads;
        match head {
            Some(head) => heads.insert(git_ref.clone(), head),
            None => heads.remove(git_ref),
        };
    }

    /// Writes lines to a log.
    pub fn add_log(&self, log: &LogPointer, lines: &[&str]) {
        let lines = lines.iter().map(ToString::to_string);
        self.lock().logs.entry((log.group.clone(), log.stream.clone())).or_default().extend(lines);
    }

    /// Every run, oldest first.
    pub fn runs(&self) -> Vec<Run> {
        self.lock().runs.values().map(|(run, _)| run.clone()).collect()
    }

    /// Whether every run is over.
    pub fn all_over(&self) -> bool {
        self.lock().runs.values().all(|(run, _)| run.status.is_terminal())
    }

    /// A run as it is stored.
    pub fn stored_run(&self, id: RunId) -> Option<Run> {
        self.lock().runs.get(&id).map(|(run, _)| run.clone())
    }

    /// A run's journal as it is stored.
    pub fn stored_journal(&self, id: RunId) -> Vec<Entry> {
        self.lock().runs.get(&id).map(|(_, journal)| journal.clone()).unwrap_or_default()
    }

    /// Every environment's record.
    pub fn environment_records(&self) -> Vec<EnvironmentRecord> {
        self.lock().environments.values().cloned().collect()
    }

    /// The open waits.
    pub fn open_waits(&self) -> Vec<Wait> {
        self.lock().waits.clone()
    }

    /// How many deliveries are recorded.
    pub fn delivery_count(&self) -> usize {
        self.lock().deliveries.len()
    }
}

impl State {
    /// Lets pass what happens by itself until `now`.
    fn pass(&mut self, now: Timestamp) {
        let sent = self.ecs.pass(now);
        self.events.extend(sent);
        let sent = self.tasks.pass(now);
        self.events.extend(sent);
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.lock().now
    }
}

impl Random for World {
    fn bytes(&self) -> [u8; 10] {
        use sha2::Digest as _;
        let mut state = self.lock();
        state.randomness += 1;
        let hash = sha2::Sha256::digest(state.randomness.to_be_bytes());
        std::array::from_fn(|i| hash[i])
    }
}
