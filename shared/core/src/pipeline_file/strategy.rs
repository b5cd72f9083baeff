//! How a service moves, as the file says it: a word, or a map of one strategy, its figures, and what must hold
//! while the traffic moves.
//!
//! ECS takes whole minutes, and waits by itself: a deploy whose timeout is shorter could never succeed.

use super::checks::checkpoint_checks;
use super::expression::Scope;
use super::jobs::Variables;
use super::limits::{
    CANARY_PERCENT, DEFAULT_BAKE_MINUTES, DEFAULT_CANARY_PERCENT, DEFAULT_DEPLOY_SECONDS,
    DEFAULT_EVERY_MINUTES, DEFAULT_HOLD_MINUTES, DEFAULT_STEP_PERCENT, DEPLOY_SECONDS, MAX_ALARM_BYTES,
    MAX_ALARMS, PAUSE_SECONDS, STEP_PERCENT, WAIT_SECONDS,
};
use super::reader::{Fields, Reader};
use super::yaml::{Node, Value};
use super::{keys, messages};
use crate::plan::{Checkpoints, Strategy};

const BLUE_GREEN: Strategy = Strategy::BlueGreen { bake_minutes: DEFAULT_BAKE_MINUTES };
const CANARY: Strategy = Strategy::Canary {
    percent: DEFAULT_CANARY_PERCENT,
    hold_minutes: DEFAULT_HOLD_MINUTES,
    bake_minutes: DEFAULT_BAKE_MINUTES,
};
const LINEAR: Strategy = Strategy::Linear {
    step: DEFAULT_STEP_PERCENT,
    every_minutes: DEFAULT_EVERY_MINUTES,
    bake_minutes: DEFAULT_BAKE_MINUTES,
};

/// The strategy and its checkpoints; where the file has none, the service is moved as it is set.
pub(super) fn strategy(
    reader: &mut Reader<'_>,
    node: &Node,
    shared: &Variables,
    scope: Scope<'_>,
) -> Option<(Strategy, Checkpoints)> {
    if !matches!(node.value, Value::Map(_)) {
        let words = [
            ("rolling", Strategy::Rolling),
            ("blue_green", BLUE_GREEN),
            ("canary", CANARY),
            ("linear", LINEAR),
        ];
        let word = reader.choice(node, "strategy", &words, &[]);
        return word.map(|strategy| (strategy, Checkpoints::default()));
    }
    let fields = reader.fields(node, &keys::STRATEGY)?;
    let given: Vec<&str> =
        keys::STRATEGY.known.iter().copied().filter(|key| fields.get(key).is_some()).collect();
    let [name] = given[..] else {
        // An unknown key is reported by now.
        return if given.is_empty() && fields.are_foreign() {
            None
        } else {
            reader.fail(node.at, messages::one_strategy(&given))
        };
    };
    let node = fields.get(name)?;
    let keys = match name {
        "blue_green" => &keys::BLUE_GREEN,
        "canary" => &keys::CANARY,
        _ => &keys::LINEAR,
    };
    let fields = reader.fields(node, keys)?;
    // A key that the strategy does not take is reported by now.
    let known = |key: &str| fields.get(key).filter(|_| keys.known.contains(&key));
    let checkpoints = checkpoints(reader, known, shared, scope);
    Some((figures(reader, name, &fields)?, checkpoints?))
}

/// What must hold while the traffic moves.
fn checkpoints<'n>(
    reader: &mut Reader<'_>,
    given: impl Fn(&str) -> Option<&'n Node>,
    shared: &Variables,
    scope: Scope<'_>,
) -> Option<Checkpoints> {
    let mut checks = |key| {
        let node = given(key);
        node.map(|node| checkpoint_checks(reader, node, key, shared, scope)).unwrap_or_default()
    };
    let (test, during) = (checks("test"), checks("during"));
    let pause = given("pause").map(|node| reader.seconds(node, "pause", PAUSE_SECONDS));
    Some(Checkpoints { test, during, pause_seconds: pause.map_or(Some(None), |pause| pause.map(Some))? })
}

/// The figures of the strategy of this name.
fn figures(reader: &mut Reader<'_>, name: &str, fields: &Fields<'_>) -> Option<Strategy> {
    match name {
        "blue_green" => {
            Some(Strategy::BlueGreen { bake_minutes: minutes(reader, fields, "bake", DEFAULT_BAKE_MINUTES)? })
        }
        "canary" => {
            let percent = percent(reader, fields, "percent", CANARY_PERCENT, DEFAULT_CANARY_PERCENT);
            let hold = minutes(reader, fields, "hold", DEFAULT_HOLD_MINUTES);
            let bake = minutes(reader, fields, "bake", DEFAULT_BAKE_MINUTES);
            Some(Strategy::Canary { percent: percent?, hold_minutes: hold?, bake_minutes: bake? })
        }
        _ => {
            let step = percent(reader, fields, "step", STEP_PERCENT, DEFAULT_STEP_PERCENT);
            let every = minutes(reader, fields, "every", DEFAULT_EVERY_MINUTES);
            let bake = minutes(reader, fields, "bake", DEFAULT_BAKE_MINUTES);
            Some(Strategy::Linear { step: step?, every_minutes: every?, bake_minutes: bake? })
        }
    }
}

/// How long the deploy may take: longer than its strategy waits.
pub(super) fn timeout(
    reader: &mut Reader<'_>,
    node: Option<&Node>,
    at: &Node,
    (strategy, checkpoints): (Strategy, &Checkpoints),
) -> Option<u32> {
    let waits = strategy.waits_seconds().saturating_add(checkpoints.longest_seconds(strategy));
    let longest = *DEPLOY_SECONDS.end();
    let seconds = match node {
        Some(node) => reader.seconds(node, "timeout", DEPLOY_SECONDS)?,
        None => DEFAULT_DEPLOY_SECONDS.saturating_add(waits).min(longest),
    };
    if seconds <= waits {
        return reader.fail(node.unwrap_or(at).at, messages::waits_too_long(waits, seconds, longest));
    }
    Some(seconds)
}

/// Names of alarms.
pub(super) fn alarms(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let items = reader.list(node, "alarms", MAX_ALARMS)?;
    if items.is_empty() {
        return reader.fail(node.at, messages::none_given("alarms", "the name of an alarm"));
    }
    let mut names: Vec<String> = Vec::new();
    for item in items {
        let name = reader.text(item, "alarms", MAX_ALARM_BYTES)?;
        // ECS takes several names in one text, apart by commas (API Reference, `DeploymentAlarms`).
        if name.trim().is_empty() || name.contains(',') {
            return reader.fail(item.at, messages::wrong_alarm(name));
        }
        if names.iter().any(|known| known == name) {
            return reader.fail(item.at, messages::listed_twice("alarms", name));
        }
        names.push(name.to_owned());
    }
    Some(names)
}

fn minutes(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, default: u16) -> Option<u16> {
    let Some(node) = fields.get(key) else { return Some(default) };
    let seconds = reader.seconds(node, key, WAIT_SECONDS)?;
    if seconds % 60 != 0 {
        return reader.fail(node.at, messages::not_whole_minutes(key));
    }
    u16::try_from(seconds / 60).ok()
}

fn percent(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    range: std::ops::RangeInclusive<u16>,
    default: u8,
) -> Option<u8> {
    let Some(node) = fields.get(key) else { return Some(default) };
    u8::try_from(reader.integer(node, key, range)?).ok()
}
