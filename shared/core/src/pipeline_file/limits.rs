//! How much a pipeline file may ask for.
//!
//! One page, because the reader, the JSON Schema and the documentation must name the same figures. Nothing
//! here is a matter of taste: each limit protects the run's record, the state machine or the bill.

use std::ops::RangeInclusive;

/// The largest file that is read: sixteen times the size of a long one.
pub const MAX_FILE_BYTES: usize = 64 * 1024;
/// A plan lies beside the run, whose item must stay far from 400 KB.
pub const MAX_PLAN_BYTES: usize = 128 * 1024;

/// Jobs of a stage, matrices expanded: a stage is one Map state, whose history must leave room for the rest.
pub const MAX_JOBS: usize = 50;
/// Keys of one matrix: four values of each are more than a stage can hold.
pub const MAX_MATRIX_KEYS: usize = 5;
/// Variables and secrets of one job, the pipeline's included; far below what a build's request can carry.
pub const MAX_VARIABLES: usize = 100;
/// Outputs of one job.
pub const MAX_OUTPUTS: usize = 50;
/// Report patterns of one job.
pub const MAX_REPORTS: usize = 20;
/// Bytes of one value: of a variable, of a matrix.
pub const MAX_VALUE_BYTES: usize = 4096;
/// How often a failed job is started again.
pub const MAX_RETRIES: u16 = 5;
/// `CodeBuild` takes timeouts from 5 minutes to 36 hours (API Reference, "StartBuild"); a build of more than
/// 8 hours is beyond what the state machine waits for.
pub const JOB_SECONDS: RangeInclusive<u32> = 300..=8 * 3600;
/// A job's timeout where the file says none.
pub const DEFAULT_JOB_SECONDS: u32 = 20 * 60;

/// Patterns of one filter.
pub const MAX_PATTERNS: usize = 100;
/// Bytes of one pattern.
pub const MAX_PATTERN_BYTES: usize = 255;
/// Schedules of a pipeline: each is looked at every minute.
pub const MAX_SCHEDULES: usize = 10;
/// Image repositories that a pipeline listens to.
pub const MAX_IMAGE_TRIGGERS: usize = 10;

/// Environments of a pipeline: each is a round of several states in the run's history.
pub const MAX_ENVIRONMENTS: usize = 13;
/// People whose consent an environment may ask for: more than that is a meeting.
pub const MAX_APPROVALS: u16 = 10;
/// How long an approval may be waited for: as long as the state `Acquire` waits at most, but for a day.
pub const APPROVAL_SECONDS: RangeInclusive<u32> = 60..=7 * 24 * 3600;
/// How long an approval is waited for where the file says nothing.
pub const DEFAULT_APPROVAL_SECONDS: u32 = 24 * 3600;
/// Windows of an environment.
pub const MAX_WINDOWS: usize = 20;
/// ECS allows ten containers in a task (Amazon ECS Developer Guide, "Amazon ECS service quotas").
pub const MAX_IMAGES: usize = 10;
/// Tasks before one deploy: their ends and last lines lie in the run's item.
pub const MAX_BEFORE: usize = 5;
/// Words of a task's command.
pub const MAX_ARGUMENTS: usize = 50;
/// Bytes of one of them: ECS takes 8 KiB of overrides for a task (API Reference, `TaskOverride`).
pub const MAX_ARGUMENT_BYTES: usize = 2048;
/// How long a task before a deploy may take.
pub const TASK_SECONDS: RangeInclusive<u32> = 60..=3 * 3600;
/// A task's timeout where the file says none.
pub const DEFAULT_TASK_SECONDS: u32 = 15 * 60;
/// Checks of one environment.
pub const MAX_CHECKS: usize = 20;
/// How long a deploy may take.
pub const DEPLOY_SECONDS: RangeInclusive<u32> = 60..=3 * 3600;
/// A deploy's timeout where the file says none.
pub const DEFAULT_DEPLOY_SECONDS: u32 = 15 * 60;
/// A wait within a strategy: what ECS takes, up to what a deploy may last.
pub const WAIT_SECONDS: RangeInclusive<u32> = 0..=3 * 3600;
/// The part of the traffic that a canary gets first, in whole per cent.
pub const CANARY_PERCENT: RangeInclusive<u16> = 1..=99;
/// The part of the traffic of each linear step: ECS takes 3 and more (API Reference, `LinearConfiguration`).
pub const STEP_PERCENT: RangeInclusive<u16> = 3..=100;
/// How long both versions run after the traffic has moved, where the file says none.
pub const DEFAULT_BAKE_MINUTES: u16 = 5;
/// A canary's part where the file says none.
pub const DEFAULT_CANARY_PERCENT: u8 = 10;
/// How long a canary keeps its part where the file says none.
pub const DEFAULT_HOLD_MINUTES: u16 = 5;
/// A linear step where the file says none.
pub const DEFAULT_STEP_PERCENT: u8 = 20;
/// The pause between two linear steps where the file says none.
pub const DEFAULT_EVERY_MINUTES: u16 = 2;
/// Alarms of one deploy, check or watch: each is asked for all the while.
pub const MAX_ALARMS: usize = 10;
/// Bytes of an alarm's name (Amazon CloudWatch API Reference, `PutMetricAlarm`).
pub const MAX_ALARM_BYTES: usize = 255;
/// One invocation makes all checks of an environment, and no Lambda function runs longer than 15 minutes.
pub const MAX_VALIDATE_SECONDS: u32 = 12 * 60;
/// Checks of one checkpoint: their results lie in the run's item.
pub const MAX_CHECKPOINT_CHECKS: usize = 5;
/// How long a deployment waits for a person: within what a deploy may take.
pub const PAUSE_SECONDS: RangeInclusive<u32> = 60..=3 * 3600;
/// Attempts of one check.
pub const MAX_ATTEMPTS: u16 = 500;
/// Attempts where the file says none.
pub const DEFAULT_ATTEMPTS: u16 = 10;
/// Good answers needed where the file says none; `attempts` where that is less.
pub const DEFAULT_NEED: u16 = 3;
/// The status that a check wants where the file says none.
pub const DEFAULT_STATUS: u16 = 200;
/// The pause between two attempts.
pub const INTERVAL_SECONDS: RangeInclusive<u32> = 1..=300;
/// How long one attempt may take.
pub const PROBE_SECONDS: RangeInclusive<u32> = 1..=60;
/// The pause, and an attempt's time, where the file says none.
pub const DEFAULT_PROBE_SECONDS: u16 = 5;
/// Bytes of a checked address.
pub const MAX_URL_BYTES: usize = 2048;
/// Bytes of the text that a body must contain.
pub const MAX_BODY_BYTES: usize = 1024;
/// Headers, or values of JSON, that one check wants.
pub const MAX_EXPECTATIONS: usize = 10;
/// The bound on the time that answers take, in milliseconds.
pub const LATENCY_MILLIS: RangeInclusive<u32> = 1..=60_000;
/// Which of the times counts where the file says none.
pub const DEFAULT_PERCENTILE: u8 = 95;
/// How long an environment is watched; it is locked meanwhile.
pub const WATCH_SECONDS: RangeInclusive<u32> = 60..=3 * 3600;
/// The pause between two looks at AWS where the file says none.
pub const DEFAULT_LOOK_SECONDS: u16 = 20;
/// Healthy targets that a check may want.
pub const MAX_HEALTHY: u16 = 1000;
/// Queries of one figure.
pub const MAX_QUERIES: usize = 10;
/// Dimensions of a metric (`CloudWatch` API Reference, `Metric`).
pub const MAX_DIMENSIONS: usize = 30;
/// Bytes of a metric's name and of its namespace (`CloudWatch` API Reference, `Metric`).
pub const MAX_METRIC_NAME_BYTES: usize = 255;
/// Figures of one watch.
pub const MAX_MEASURES: usize = 10;
/// Checks of one environment that are jobs: each of their attempts is a retry of one state.
pub const MAX_CHECK_JOBS: usize = 3;
