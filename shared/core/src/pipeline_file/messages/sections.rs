//! Sentences about the jobs and environments of the file.

use super::{Words, duration, quoted};
use crate::pipeline_file::problem::printable;

/// Keys that a later version takes: the key, and what its absence means until then.
pub(in crate::pipeline_file) type Later = &'static [(&'static str, &'static str)];

/// See [`Later`].
pub(in crate::pipeline_file) const LATER_TARGET: Later = &[
    ("lambda", "the targets are `ecs` and `ecs_scheduled_task`"),
    ("kubernetes", "the targets are `ecs` and `ecs_scheduled_task`"),
    ("hosts", "the targets are `ecs` and `ecs_scheduled_task`"),
    ("command", "the targets are `ecs` and `ecs_scheduled_task`"),
];

// Jobs.

pub(in crate::pipeline_file) fn unknown_version(found: i128) -> Words {
    Words::new(
        format!("version {found} of the file format is not known to this version of Pushway"),
        "write `version: 1`",
    )
}

pub(in crate::pipeline_file) fn no_stages() -> Words {
    Words::new(
        "the pipeline does nothing",
        "add a job under `build` or `test`, or an entry under `environments`",
    )
}

pub(in crate::pipeline_file) fn reserved_variable(name: &str) -> Words {
    Words::new(
        format!("the variable name {} is reserved", quoted(name)),
        "names that begin with AWS_, CODEBUILD_ or PUSHWAY_ are set by the build itself; choose another",
    )
}

pub(in crate::pipeline_file) fn env_and_secret(name: &str) -> Words {
    Words::new(
        format!("{} is set both in `env` and in `secrets`", quoted(name)),
        "keep one of the two; `env` of the pipeline counts for every job",
    )
}

pub(in crate::pipeline_file) fn too_many_variables(count: usize, max: usize) -> Words {
    Words::new(
        format!("the job has {count} variables with those of the pipeline, and at most {max} are allowed"),
        "move rarely changed values into the repository",
    )
}

pub(in crate::pipeline_file) fn not_a_secret_reference() -> Words {
    Words::new(
        "this is not a reference to a secret",
        "write secretsmanager:<name>, secretsmanager:<name>:<json key> or ssm:<name>; \
         if a real secret stood here, replace it with a new one now",
    )
}

pub(in crate::pipeline_file) fn bad_build_image(found: &str) -> Words {
    Words::new(
        format!("{} is not a build image", quoted(found)),
        "give the name of an image as CodeBuild takes it, such as aws/codebuild/amazonlinux-aarch64-standard:3.0",
    )
}

// Environments.

pub(in crate::pipeline_file) fn duplicate_environment(name: &str, first_line: u32) -> Words {
    Words::new(
        format!("the environment {} is already defined in line {first_line}", quoted(name)),
        "give each environment a name of its own",
    )
}

pub(in crate::pipeline_file) fn bad_days(found: &str) -> Words {
    Words::new(
        format!("{} is not a list of days", quoted(found)),
        "write days of the week and ranges of them: `mon-fri`, or `mon,wed,sat-sun`",
    )
}

pub(in crate::pipeline_file) fn bad_time(key: &str, found: &str) -> Words {
    Words::new(
        format!("{} of {} is not a time of the day", quoted(found), quoted(key)),
        "write hours and minutes, from 00:00 to 24:00",
    )
}

pub(in crate::pipeline_file) fn window_never_open(from: &str, to: &str) -> Words {
    Words::new(
        format!("the window ends at {}, not after it begins at {}", quoted(to), quoted(from)),
        "write two windows for one that goes on over midnight: until 24:00, and from 00:00",
    )
}

pub(in crate::pipeline_file) fn bad_place(key: &str, found: &str) -> Words {
    let hint = match key {
        "role" => "write the whole ARN of an IAM role: arn:aws:iam::<12 digits>:role/<name>",
        "region" => "write a region as AWS names it, such as eu-central-1",
        _ => "use 2 to 1224 letters, digits and +=,.@:/_-",
    };
    Words::new(format!("`{key}` can't be {}", quoted(found)), hint)
}

pub(in crate::pipeline_file) fn which_container() -> Words {
    Words::new(
        "`ecs_task` does not say which container it is about, and `images` does not name just one",
        "add `container: <name>`: its command is replaced, and its exit code counts",
    )
}

pub(in crate::pipeline_file) fn service_without_task() -> Words {
    Words::new(
        "`service_definition` needs `task_definition`: a service that does not exist yet has none to copy",
        "add `task_definition: <file>` beside it",
    )
}

pub(in crate::pipeline_file) fn one_target(known: &[&str]) -> Words {
    Words::new(
        "an environment deploys to one target",
        format!("write one of {}, and an environment for each target", known.join(", ")),
    )
}

pub(in crate::pipeline_file) fn rule_or_schedule() -> Words {
    Words::new(
        "a scheduled task is started by either a rule or a schedule",
        "write `rule: <name>` for a rule of EventBridge, or `schedule: <name>` for one of EventBridge Scheduler",
    )
}

pub(in crate::pipeline_file) fn schedules_have_one_target() -> Words {
    Words::new("a schedule has just one target", "leave `target` out; only a rule may have several")
}

pub(in crate::pipeline_file) fn wrong_starter_name(key: &str, found: &str, has_slash: bool) -> Words {
    let within = match (has_slash, key) {
        (true, "rule") => ", with `<event bus>/` before it where it is not the default one",
        (true, _) => ", with `<group>/` before it where it is not the default one",
        (false, _) => "",
    };
    Words::new(
        format!("{} is not a valid name for {}", quoted(found), quoted(key)),
        format!("use 1 to 64 letters, digits, dots, hyphens and underscores{within}"),
    )
}

pub(in crate::pipeline_file) fn needs_a_service(what: &str) -> Words {
    Words::new(
        format!("{what} looks at a service, and a scheduled task has none"),
        "use `alarms`, `metrics` or a `job`, or run the task once with `before: [{ ecs_task: {} }]`",
    )
}

pub(in crate::pipeline_file) fn not_from_build(stage: &str) -> Words {
    Words::new(
        format!("an image must come from the build stage, not from {}", quoted(stage)),
        "what was tested is what is deployed: let a job of `build` export it, ${build.<job>.<OUTPUT>}",
    )
}

pub(in crate::pipeline_file) fn unknown_job(job: &str, similar: Option<&str>, known: &[&str]) -> Words {
    let hint = match (similar, known) {
        (Some(similar), _) => format!("did you mean {}?", quoted(similar)),
        (None, []) => "add the job under `build`".to_owned(),
        (None, known) => format!("`build` has {}", printable(&known.join(", "), 200)),
    };
    Words::new(format!("`build` has no job {}", quoted(job)), hint)
}

pub(in crate::pipeline_file) fn undeclared_output(job: &str, output: &str) -> Words {
    Words::new(
        format!("the job {} does not declare the output {}", quoted(job), quoted(output)),
        format!("add {} to `outputs` of the job, and export it in its buildspec", quoted(output)),
    )
}

pub(in crate::pipeline_file) fn image_not_fixed(found: &str) -> Words {
    Words::new(
        format!("the image {} is not fixed by a digest", quoted(found)),
        "a tag can move between test and deploy: write ${build.<job>.<OUTPUT>}, or repository@sha256:<digest>",
    )
}

pub(in crate::pipeline_file) fn images_not_a_map(found: &str) -> Words {
    Words::new(
        format!("`images` can't be {}", quoted(found)),
        "name containers and their images: {web: \"${build.<job>.<OUTPUT>}\"}; or let a file that a job leaves behind \
         name them: ${build.<job>.imagedefinitions.json} and nothing around it",
    )
}

pub(in crate::pipeline_file) fn detail_without_container() -> Words {
    Words::new(
        "an imageDetail.json names an image and no container",
        "name the container: {web: \"${build.<job>.imageDetail.json}\"}",
    )
}

pub(in crate::pipeline_file) fn definitions_name_containers(template: &str) -> Words {
    Words::new(
        "an imagedefinitions.json names the containers itself",
        format!("write it in place of the map: `images: \"{}\"`", printable(template, 200)),
    )
}

pub(in crate::pipeline_file) fn unknown_image_file(file: &str) -> Words {
    Words::new(
        format!("{} is no file that names images", quoted(file)),
        "the files are imagedefinitions.json, in place of the map, and imageDetail.json, as the image of a container",
    )
}

pub(in crate::pipeline_file) fn one_strategy(given: &[&str]) -> Words {
    let found = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
    Words::new(
        format!("`strategy` takes one of blue_green, canary and linear, and has {found}"),
        "write a word, such as `strategy: rolling`, or a map such as `{ canary: { percent: 10, hold: 5m } }`",
    )
}

pub(in crate::pipeline_file) fn not_whole_minutes(key: &str) -> Words {
    Words::new(format!("{} must be whole minutes", quoted(key)), "ECS counts in minutes: write 2m, not 90s")
}

pub(in crate::pipeline_file) fn waits_too_long(waits: u32, timeout: u32, longest: u32) -> Words {
    Words::new(
        format!(
            "the strategy waits {} by itself, and the deploy may take {} only",
            duration(waits),
            duration(timeout)
        ),
        format!("shorten its waits, or raise `timeout`, up to {}", duration(longest)),
    )
}

pub(in crate::pipeline_file) fn checkpoints_elsewhere() -> Words {
    Words::new(
        "the strategy's `test`, `during` and `pause` need ECS to ask this installation, which it can't from \
         another account or region",
        "take them out of `strategy` and put the checks into `validate`, or deploy from an installation there",
    )
}

pub(in crate::pipeline_file) fn wrong_alarm(name: &str) -> Words {
    Words::new(
        format!("{} is not the name of an alarm", quoted(name)),
        "name each CloudWatch alarm in an item of its own, without commas",
    )
}

pub(in crate::pipeline_file) fn bad_url(reason: &str) -> Words {
    Words::new(
        format!("`url` is not valid: {}", printable(reason, 100)),
        "write the whole address: https://host/path",
    )
}

pub(in crate::pipeline_file) fn url_scheme(scheme: &str) -> Words {
    Words::new(format!("`url` has the scheme {}", quoted(scheme)), "only http and https can be checked")
}

pub(in crate::pipeline_file) fn url_credentials() -> Words {
    Words::new(
        "`url` holds a user name or password",
        "use an address that answers a health check without them",
    )
}

pub(in crate::pipeline_file) fn url_dots() -> Words {
    Words::new("`url` holds a part that is `.` or `..`", "write the path that is meant")
}

pub(in crate::pipeline_file) fn need_above_attempts(need: u64, attempts: u64) -> Words {
    Words::new(
        format!("`need` is {need}, but there are only {attempts} attempts"),
        "raise `attempts` or lower `need`",
    )
}

pub(in crate::pipeline_file) fn validation_too_long(seconds: u64, max_seconds: u32) -> Words {
    Words::new(
        format!("the checks can take {seconds}s together, and at most {} are allowed", duration(max_seconds)),
        "lower `attempts`, `interval` or `timeout`: a check takes attempts × (interval + timeout)",
    )
}

pub(in crate::pipeline_file) fn bad_header_name(found: &str) -> Words {
    Words::new(
        format!("{} is not the name of a header", quoted(found)),
        "use letters, digits and hyphens, such as x-version",
    )
}

pub(in crate::pipeline_file) fn bad_pointer(found: &str) -> Words {
    Words::new(
        format!("{} is not a JSON pointer", quoted(found)),
        "begin with a slash and name the way to the value: /status or /items/0/name",
    )
}

pub(in crate::pipeline_file) fn version_in_one_place() -> Words {
    Words::new(
        "`version` names no place, or two",
        "say where an answer shows its version: {header: x-version, equals: …} or {json: /version, equals: …}",
    )
}

pub(in crate::pipeline_file) fn bad_alarm_name(found: &str) -> Words {
    Words::new(
        format!("{} is not the name of an alarm", quoted(found)),
        "write the name that CloudWatch shows, not the ARN",
    )
}

pub(in crate::pipeline_file) fn one_kind_of_check(kinds: &[&str]) -> Words {
    Words::new(
        "a check is of one kind",
        format!("write one of {}, and a list entry for each check", kinds.join(", ")),
    )
}

pub(in crate::pipeline_file) fn one_bound() -> Words {
    Words::new("a figure has one bound", "write either `below: 1` or `above: 1`")
}

pub(in crate::pipeline_file) fn not_a_number(key: &str) -> Words {
    Words::new(
        format!("{} is not a number to compare with", quoted(key)),
        "write a whole number, or a fraction in quotes: \"0.5\"",
    )
}

pub(in crate::pipeline_file) fn bad_query_name(found: &str) -> Words {
    Words::new(
        format!("{} is not a name for a query", quoted(found)),
        "begin with a lower-case letter and use letters, digits and underscores; pushway… is taken",
    )
}

pub(in crate::pipeline_file) fn too_many_check_jobs(count: usize, max: usize) -> Words {
    Words::new(
        format!("{count} checks are jobs, and at most {max} are allowed"),
        "let one job run several kinds of tests",
    )
}
