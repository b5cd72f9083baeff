//! The event relay: brings events of AWS services to the targets of the rules that match them.
//!
//! A client cannot put events whose source is `aws.*`, and the emulator emits none for builds and
//! deployments. Rules, patterns and targets stay the emulator's: this asks it which rules match
//! (`TestEventPattern`) and invokes their functions as `EventBridge` does, asynchronously and at least
//! once. It must not decide by itself whether a pattern matches.

use std::time::Duration;

use anyhow::Context as _;
use backon::{ExponentialBuilder, Retryable as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{AwsError, Emulator, log};

/// About a minute and a half in all: an emulator that is gone for longer is not coming back.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(25)
        .with_jitter()
}

/// A target of a rule that matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The rule's name.
    pub rule: String,
    /// The target as `ListTargetsByRule` gives it.
    pub target: Value,
}

/// Delivers every event from `events` until all senders are gone. An event that finds no rule, or whose
/// target refuses it for good, is logged and left.
pub async fn run(emulator: Emulator, mut events: mpsc::Receiver<Value>) {
    while let Some(event) = events.recv().await {
        let about = json!({ "event_id": event["id"], "detail_type": event["detail-type"],
                            "resources": event["resources"], "event": event["detail"]["eventName"] });
        match deliver(&emulator, &event).await {
            Ok(count) => log::fact("event relayed", with(about, "targets", json!(count))),
            Err(error) => log::fact("event lost", with(about, "error", json!(format!("{error:#}")))),
        }
    }
}

/// Brings one whole event (`version`, `id`, `detail-type`, `source`, …) to every matching target.
/// Returns how many functions took it; fails only if the rules cannot be read for a minute and a half.
pub async fn deliver(emulator: &Emulator, event: &Value) -> anyhow::Result<usize> {
    let find = || async { matching_targets(emulator, event).await };
    let targets =
        find.retry(patience()).when(may_pass).await.context("find the rules that match the event")?;
    let mut taken = 0;
    for target in &targets {
        let about = json!({ "event_id": event["id"], "rule": target.rule, "target": target.target["Arn"] });
        let send = || async { invoke(emulator, target, event).await };
        match send.retry(patience()).when(may_pass).await {
            Ok(()) => {
                taken += 1;
                log::fact("event delivered", about);
            }
            Err(error) => log::fact("event not delivered", with(about, "error", json!(format!("{error:#}")))),
        }
    }
    Ok(taken)
}

/// The targets of all enabled rules of the default bus whose pattern matches `event`.
pub async fn matching_targets(emulator: &Emulator, event: &Value) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    let event = event.to_string();
    for rule in list(emulator, "ListRules", json!({}), "Rules").await? {
        let Some(pattern) = rule["EventPattern"].as_str() else { continue };
        if rule["State"] == "DISABLED" {
            continue;
        }
        let question = json!({ "EventPattern": pattern, "Event": event });
        let answer = emulator.json("events", "AWSEvents.TestEventPattern", question).await?;
        if answer["Result"] != true {
            continue;
        }
        let name = rule["Name"].as_str().unwrap_or_default();
        let of_rule = list(emulator, "ListTargetsByRule", json!({ "Rule": name }), "Targets").await?;
        targets.extend(of_rule.into_iter().map(|target| Target { rule: name.to_owned(), target }));
    }
    Ok(targets)
}

/// All pages of a listing of `EventBridge`.
async fn list(emulator: &Emulator, operation: &str, body: Value, key: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut body) = (Vec::new(), body);
    loop {
        let mut page = emulator.json("events", &format!("AWSEvents.{operation}"), body.clone()).await?;
        if let Value::Array(items) = page[key].take() {
            all.extend(items);
        }
        match page["NextToken"].take() {
            token @ Value::String(_) => body["NextToken"] = token,
            _ => return Ok(all),
        }
    }
}

/// Invokes a function asynchronously, as `EventBridge` does.
async fn invoke(emulator: &Emulator, target: &Target, event: &Value) -> anyhow::Result<()> {
    let arn = target.target["Arn"].as_str().unwrap_or_default();
    let function =
        function_of(arn).with_context(|| format!("target {arn:?} is not a function; it is left out"))?;
    let input = input_of(&target.target, event)?;
    let path = format!("/2015-03-31/functions/{function}/invocations");
    let headers = [("x-amz-invocation-type".to_owned(), "Event".to_owned())];
    emulator
        .rest("lambda", http::Method::POST, &path, input.to_string().into_bytes(), &headers)
        .await
        .map(|_accepted| ())
}

/// The name in a function's ARN; a version or alias after it is dropped, for the emulator runs one.
fn function_of(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.nth(2)? == "lambda" && parts.nth(2)? == "function").then_some(())?;
    parts.next()
}

/// What a target gets: the event, a constant (`Input`) or a part (`InputPath`). A transformer is not
/// applied: the target gets an error in the log rather than a wrong input.
fn input_of(target: &Value, event: &Value) -> anyhow::Result<Value> {
    if let Some(constant) = target["Input"].as_str() {
        return serde_json::from_str(constant).context("the target's Input is not JSON");
    }
    if let Some(path) = target["InputPath"].as_str() {
        let pointer = path.trim_start_matches('$').replace('.', "/");
        return event.pointer(&pointer).cloned().with_context(|| format!("the event has no {path}"));
    }
    anyhow::ensure!(target["InputTransformer"].is_null(), "input transformers are not applied by the relay");
    Ok(event.clone())
}

/// Whether trying again may help: the emulator could not be reached, was busy or broke.
fn may_pass(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<AwsError>() {
        Some(refusal) => refusal.status >= 500 || refusal.status == 429,
        None => error.downcast_ref::<reqwest::Error>().is_some(),
    }
}

fn with(mut fields: Value, name: &str, value: Value) -> Value {
    fields[name] = value;
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_gets_what_its_rule_says() {
        let event = json!({ "source": "aws.ecs", "detail": { "a": { "b": 1 } } });
        let input = |target: Value| input_of(&target, &event);
        assert_eq!(input(json!({ "Arn": "x" })).unwrap(), event);
        assert_eq!(input(json!({ "Input": "{\"k\":1}" })).unwrap(), json!({ "k": 1 }));
        assert_eq!(input(json!({ "InputPath": "$.detail.a" })).unwrap(), json!({ "b": 1 }));
        assert_eq!(input(json!({ "InputPath": "$" })).unwrap(), event);
        assert!(input(json!({ "InputPath": "$.nothing" })).is_err());
        assert!(input(json!({ "InputTransformer": { "InputTemplate": "{}" } })).is_err());
    }

    #[test]
    fn only_functions_are_invoked() {
        assert_eq!(function_of("arn:aws:lambda:us-east-1:000000000000:function:echo:live"), Some("echo"));
        assert_eq!(function_of("arn:aws:sqs:us-east-1:000000000000:queue"), None);
        assert_eq!(function_of("arn:aws:lambda:us-east-1:000000000000:layer:x"), None);
    }

    #[test]
    fn a_refusal_is_final_and_a_broken_connection_is_not() {
        let refused = |status| {
            anyhow::Error::new(AwsError { code: "X".to_owned(), message: String::new(), status })
                .context("call")
        };
        assert!(!may_pass(&refused(404)));
        assert!(may_pass(&refused(503)));
        assert!(!may_pass(&anyhow::anyhow!("target is not a function")));
    }
}
