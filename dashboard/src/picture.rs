//! Where a run's time went: rows along one time axis, from the journal's times.
//!
//! A wait for people may take a day where all else takes minutes; such a wait is drawn shorter, and the picture
//! says so. CodeBuild's and ECS's own times are taken where they are told, but never out of order: their clocks
//! are not ours.

use jiff::Timestamp;
use pushway_core::fact::{Entry, Fact, JobEnd, JobId, RollbackOutcome};
use pushway_core::ids::EnvironmentName;
use pushway_core::run::Run;

use crate::parts::{Piece, Pieces, WIDTH};
use crate::time::{between, duration};

/// What a piece of time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Waiting: for people, a lock, a turn.
    Wait,
    /// Getting ready.
    Prepare,
    /// The work itself.
    Work,
    /// Checks after it.
    Check,
    /// Watching the new version.
    Watch,
    /// Going back.
    Back,
}

impl Kind {
    fn look(self, is_bad: bool) -> &'static str {
        match self {
            _ if is_bad => "bad",
            Self::Wait => "wait",
            Self::Prepare => "prepare",
            Self::Work => "work",
            Self::Check => "check",
            Self::Watch => "watch",
            Self::Back => "back",
        }
    }
}

#[derive(Debug, Clone)]
struct Segment {
    from: Timestamp,
    to: Timestamp,
    kind: Kind,
    word: &'static str,
    is_bad: bool,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Delivery, plan and turn.
    Plan,
    /// A job.
    Job(JobId),
    /// An environment.
    Environment(EnvironmentName),
}

#[derive(Debug)]
struct Lane {
    subject: Subject,
    segments: Vec<Segment>,
    open: Option<Segment>,
    /// How far it is told.
    reached: Option<Timestamp>,
}

impl Lane {
    fn new(subject: Subject) -> Self {
        Self { subject, segments: Vec::new(), open: None, reached: None }
    }

    /// From here on it does something else.
    fn turn(&mut self, at: Timestamp, kind: Kind, word: &'static str) {
        let at = self.end(at, false);
        self.reached = Some(at);
        self.open = Some(Segment { from: at, to: at, kind, word, is_bad: false });
    }

    /// What it did is over; gives when, which is never before it began.
    fn end(&mut self, at: Timestamp, is_bad: bool) -> Timestamp {
        let to = self.reached.map_or(at, |reached| reached.max(at));
        if let Some(open) = self.open.take() {
            self.reached = Some(to);
            if to > open.from || is_bad {
                self.segments.push(Segment { to, is_bad, ..open });
            }
        }
        to
    }
}

/// A row of the picture.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) bar: Pieces,
    /// The pieces in words.
    pub(crate) words: String,
    /// How long all of it took; empty where it has not begun.
    pub(crate) took: String,
}

/// The whole picture.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) rows: Vec<Row>,
    /// What the quarters of the axis stand for; none where a wait is drawn shorter.
    pub(crate) ticks: Vec<String>,
    /// How long all of it took.
    pub(crate) took: String,
}

/// Draws a run at a time.
pub(crate) fn picture(run: &Run, journal: &[Entry], now: Timestamp) -> Picture {
    let mut lanes = vec![Lane::new(Subject::Plan)];
    lanes.extend(run.jobs.iter().map(|state| Lane::new(Subject::Job(state.job.clone()))));
    lanes.extend(run.environments.iter().map(|state| Lane::new(Subject::Environment(state.name.clone()))));
    for entry in journal {
        tell(&mut lanes, entry);
    }
    let end = if run.status.is_terminal() { run.updated_at } else { now.max(run.updated_at) };
    for lane in &mut lanes {
        lane.end(end, false);
    }
    let begin = lanes.iter().flat_map(|lane| &lane.segments).map(|segment| segment.from).min();
    let begin = begin.unwrap_or(run.received_at).min(run.received_at);
    let scale = Scale::new(&lanes, begin, end);
    Picture {
        rows: lanes.iter().map(|lane| row(lane, &scale)).collect(),
        ticks: scale.ticks(),
        took: duration(between(begin, end)),
    }
}

fn row(lane: &Lane, scale: &Scale) -> Row {
    let piece = |segment: &Segment| Piece {
        look: segment.kind.look(segment.is_bad),
        from: scale.place(segment.from),
        to: scale.place(segment.to),
    };
    let mut parts: Vec<(&str, i64)> = Vec::new();
    for segment in &lane.segments {
        let took = between(segment.from, segment.to);
        match parts.iter_mut().find(|(word, _)| *word == segment.word) {
            Some((_, sum)) => *sum += took,
            None => parts.push((segment.word, took)),
        }
    }
    let words: Vec<String> = parts.iter().map(|(word, took)| format!("{word} {}", duration(*took))).collect();
    let all: i64 = parts.iter().map(|(_, took)| took).sum();
    Row {
        subject: lane.subject.clone(),
        bar: Pieces(lane.segments.iter().map(piece).collect()),
        words: words.join(" · "),
        took: if lane.segments.is_empty() { String::new() } else { duration(all) },
    }
}

/// From time to place.
struct Scale {
    /// Where a stretch begins, in time and in drawn milliseconds; the last one is the end.
    stretches: Vec<(Timestamp, i64)>,
    is_shortened: bool,
}

impl Scale {
    fn new(lanes: &[Lane], begin: Timestamp, end: Timestamp) -> Self {
        let mut busy: Vec<(Timestamp, Timestamp)> = lanes
            .iter()
            .flat_map(|lane| &lane.segments)
            .filter(|segment| segment.kind != Kind::Wait)
            .map(|segment| (segment.from, segment.to.min(end)))
            .collect();
        busy.sort();
        // What lies between busy times, and how long all of them are.
        let (mut idle, mut reached) = (Vec::new(), begin);
        for (from, to) in busy {
            if from > reached {
                idle.push((reached, from));
            }
            reached = reached.max(to);
        }
        if end > reached {
            idle.push((reached, end));
        }
        let waited: i64 = idle.iter().map(|(from, to)| between(*from, *to)).sum();
        let most = (between(begin, end) - waited).max(1_000) / 2;
        let (mut stretches, mut drawn, mut from, mut is_shortened) = (vec![(begin, 0)], 0, begin, false);
        for (start, stop) in idle.into_iter().filter(|(start, stop)| between(*start, *stop) > most) {
            is_shortened = true;
            drawn += between(from, start);
            stretches.push((start, drawn));
            drawn += most;
            stretches.push((stop, drawn));
            from = stop;
        }
        stretches.push((end, drawn + between(from, end)));
        Self { stretches, is_shortened }
    }

    fn total(&self) -> i64 {
        self.stretches.last().map_or(1, |(_, drawn)| *drawn).max(1)
    }

    fn place(&self, at: Timestamp) -> u32 {
        let pairs = self.stretches.iter().zip(self.stretches.iter().skip(1));
        let mut found = 0;
        for ((from, drawn), (to, drawn_to)) in pairs {
            let long = between(*from, *to).max(1);
            let inside = between(*from, at).clamp(0, long);
            found = drawn + (drawn_to - drawn) * inside / long;
            if at <= *to {
                break;
            }
        }
        u32::try_from(found * i64::from(WIDTH) / self.total()).unwrap_or_default().min(WIDTH)
    }

    fn ticks(&self) -> Vec<String> {
        if self.is_shortened {
            return Vec::new();
        }
        (0..=4)
            .map(|quarter| if quarter == 0 { "0".to_owned() } else { duration(self.total() * quarter / 4) })
            .collect()
    }
}

/// Puts one fact into its lane.
fn tell(lanes: &mut [Lane], entry: &Entry) {
    let at = entry.at;
    match &entry.fact {
        Fact::Received { source } => {
            if let Some(pushed) = source.delivered_from().filter(|pushed| *pushed < at) {
                lanes[0].turn(pushed, Kind::Wait, "delivery");
            }
            lanes[0].turn(at, Kind::Prepare, "planning");
        }
        Fact::Planned { .. } => drop(lanes[0].end(at, false)),
        Fact::Queued { .. } => lanes[0].turn(at, Kind::Wait, "waiting for its turn"),
        Fact::Rejected { .. } => drop(lanes[0].end(at, true)),
        Fact::JobStarted { job, .. } => {
            lanes[0].end(at, false);
            if let Some(lane) = find(lanes, &Subject::Job(job.clone())) {
                lane.turn(at, Kind::Work, "work");
            }
        }
        Fact::JobEnded { job, end, .. } => {
            if let Some(lane) = find(lanes, &Subject::Job(job.clone())) {
                job_ended(lane, end, at);
            }
        }
        Fact::Finished { .. } | Fact::Ignored { .. } | Fact::Overtaken { .. } => {
            for lane in lanes {
                lane.end(at, false);
            }
        }
        fact => {
            let name = environment_of(fact).cloned().map(Subject::Environment);
            if let Some(lane) = name.and_then(|subject| find(lanes, &subject)) {
                environment(lane, fact, at);
            }
        }
    }
}

fn job_ended(lane: &mut Lane, end: &JobEnd, at: Timestamp) {
    // Only now is it known how long the machine took to come.
    if let (Some(started), Some(open)) = (end.started_at.filter(|started| *started < at), &mut lane.open) {
        (open.kind, open.word) = (Kind::Prepare, "provisioning");
        lane.turn(started, Kind::Work, "work");
    }
    lane.end(end.ended_at.filter(|ended| *ended < at).unwrap_or(at), end.failure.is_some());
}

fn environment(lane: &mut Lane, fact: &Fact, at: Timestamp) {
    match fact {
        // People are asked, or asked on by a rule that has changed.
        Fact::ApprovalAsked { .. } | Fact::ApprovalRuleChanged { .. } => {
            lane.turn(at, Kind::Wait, "approval");
        }
        Fact::Blocked { .. } => lane.turn(at, Kind::Wait, "waiting for its time"),
        Fact::LockTaken { .. } => lane.turn(at, Kind::Prepare, "preparing"),
        Fact::TaskStarted { .. } => lane.turn(at, Kind::Work, "task before"),
        Fact::TaskEnded { end, .. } => {
            lane.end(at, end.failure.is_some());
            lane.turn(at, Kind::Prepare, "preparing");
        }
        Fact::DeployStarted { .. } | Fact::CheckpointAnswered { .. } => lane.turn(at, Kind::Work, "rollout"),
        Fact::CheckpointPaused { .. } => lane.turn(at, Kind::Wait, "paused"),
        Fact::DeployEnded { failure, ended_at, .. } => {
            let ended = lane.end(ended_at.filter(|ended| *ended < at).unwrap_or(at), failure.is_some());
            if failure.is_none() {
                lane.turn(ended, Kind::Check, "checks");
            }
        }
        Fact::Validated { checks, .. } => drop(lane.end(at, checks.iter().any(|check| !check.passed))),
        Fact::WatchStarted { start, .. } => lane.turn(start.at, Kind::Watch, "watch"),
        Fact::WatchEnded { end, .. } => drop(lane.end(at, end.failure.is_some())),
        Fact::RollbackStarted { .. } => lane.turn(at, Kind::Back, "rollback"),
        Fact::RollbackEnded { outcome, .. } => {
            lane.end(at, matches!(outcome, RollbackOutcome::Failed { .. }));
        }
        Fact::ApprovalRefused { .. } => drop(lane.end(at, true)),
        Fact::Superseded { .. } => drop(lane.end(at, false)),
        _ => {}
    }
}

fn find<'a>(lanes: &'a mut [Lane], subject: &Subject) -> Option<&'a mut Lane> {
    lanes.iter_mut().find(|lane| lane.subject == *subject)
}

fn environment_of(fact: &Fact) -> Option<&EnvironmentName> {
    match fact {
        Fact::ApprovalAsked { environment, .. }
        | Fact::ApprovalRuleChanged { environment, .. }
        | Fact::ApprovalRefused { environment, .. }
        | Fact::Blocked { environment, .. }
        | Fact::LockTaken { environment, .. }
        | Fact::Superseded { environment, .. }
        | Fact::TaskStarted { environment, .. }
        | Fact::TaskEnded { environment, .. }
        | Fact::DeployStarted { environment, .. }
        | Fact::CheckpointPaused { environment, .. }
        | Fact::CheckpointAnswered { environment, .. }
        | Fact::DeployEnded { environment, .. }
        | Fact::Validated { environment, .. }
        | Fact::WatchStarted { environment, .. }
        | Fact::WatchEnded { environment, .. }
        | Fact::RollbackStarted { environment, .. }
        | Fact::RollbackEnded { environment, .. } => Some(environment),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lane(segments: &[(i64, i64, Kind)]) -> Lane {
        let segment = |(from, to, kind): &(i64, i64, Kind)| Segment {
            from: at(*from),
            to: at(*to),
            kind: *kind,
            word: "work",
            is_bad: false,
        };
        Lane { segments: segments.iter().map(segment).collect(), ..Lane::new(Subject::Plan) }
    }

    #[test]
    fn a_wait_of_a_day_leaves_the_minutes_around_it_visible() {
        let lanes = [lane(&[(0, 100, Kind::Work), (100, 86_500, Kind::Wait), (86_500, 86_600, Kind::Work)])];
        let scale = Scale::new(&lanes, at(0), at(86_600));
        // 100 s, half of the 200 s of work, 100 s.
        let places = [0, 100, 43_300, 86_500, 86_600].map(|second| scale.place(at(second)));
        assert_eq!(places, [0, 333, 500, 666, 1_000]);
        assert!(scale.ticks().is_empty(), "an axis would lie");
    }

    #[test]
    fn what_is_busy_side_by_side_is_drawn_to_scale() {
        let lanes = [lane(&[(0, 60, Kind::Work)]), lane(&[(30, 240, Kind::Watch)])];
        let scale = Scale::new(&lanes, at(0), at(240));
        assert_eq!([60, 120, 999].map(|second| scale.place(at(second))), [250, 500, 1_000]);
        assert_eq!(scale.ticks(), ["0", "1 min", "2 min", "3 min", "4 min"]);
    }

    #[test]
    fn clocks_that_differ_never_turn_time_around() {
        let mut lane = Lane::new(Subject::Plan);
        lane.turn(at(100), Kind::Prepare, "provisioning");
        lane.turn(at(90), Kind::Work, "work");
        lane.end(at(80), false);
        lane.turn(at(95), Kind::Check, "checks");
        lane.end(at(130), true);
        let told: Vec<_> = lane
            .segments
            .iter()
            .map(|piece| (piece.from.as_second(), piece.to.as_second(), piece.is_bad))
            .collect();
        assert_eq!(told, [(100, 130, true)]);
    }
}
