//! The lifecycle hook by which ECS asks before it moves traffic: told apart from those of others, put in, taken out.
//!
//! Ours is known by its details, not by the function it names: an installation may have been made anew.

use std::collections::HashMap;

use aws_sdk_ecs::types::{
    DeploymentConfiguration, DeploymentLifecycleHook, DeploymentLifecycleHookAction as Action,
    DeploymentLifecycleHookStage as Stage, DeploymentLifecycleHookTargetType as TargetType,
    DeploymentLifecycleHookTimeoutConfiguration as Timeout,
};
use aws_smithy_types::{Document, Number};
use pushway_core::checkpoint::{CheckHook, MARK, STAGE};
use pushway_core::ports::Fault;
use serde_json::Value;

use crate::Settings;

/// Takes our hook out, and puts in the one that is wanted. Hooks of others stay as they are.
pub(crate) fn set_hook(
    configuration: &mut DeploymentConfiguration,
    wanted: Option<&CheckHook>,
    settings: &Settings,
) -> Result<(), Fault> {
    let mut hooks = configuration.lifecycle_hooks.take().unwrap_or_default();
    let before = hooks.len();
    hooks.retain(|hook| !is_ours(hook));
    if let Some(wanted) = wanted {
        hooks.push(hook(wanted, settings)?);
    }
    // An empty list takes hooks off; where there were none, none are spoken of.
    configuration.lifecycle_hooks = (before > 0 || !hooks.is_empty()).then_some(hooks);
    Ok(())
}

fn is_ours(hook: &DeploymentLifecycleHook) -> bool {
    let details = hook.hook_details().and_then(Document::as_object);
    details.is_some_and(|details| details.contains_key(MARK))
}

fn hook(wanted: &CheckHook, settings: &Settings) -> Result<DeploymentLifecycleHook, Fault> {
    let (function, role) = settings.check_hook()?;
    let minutes = i32::try_from(wanted.timeout_minutes).unwrap_or(i32::MAX);
    let timeout = Timeout::builder().timeout_in_minutes(minutes).action(Action::Rollback).build();
    Ok(DeploymentLifecycleHook::builder()
        .target_type(TargetType::AwsLambda)
        .hook_target_arn(function)
        .role_arn(role)
        .lifecycle_stages(Stage::from(STAGE))
        .hook_details(document(&wanted.details()))
        .timeout_configuration(timeout)
        .build())
}

fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(value) => Document::Bool(*value),
        Value::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Number::PosInt(number),
            (None, Some(number)) => Number::NegInt(number),
            (None, None) => Number::Float(number.as_f64().unwrap_or_default()),
        }),
        Value::String(text) => Document::String(text.clone()),
        Value::Array(items) => Document::Array(items.iter().map(document).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), document(value)));
            Document::Object(fields.collect::<HashMap<_, _>>())
        }
    }
}
