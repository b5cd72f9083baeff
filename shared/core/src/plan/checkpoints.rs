//! What must hold while ECS moves a service's traffic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use crate::strategy::Strategy;

/// What must hold before production traffic moves, and before more of it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoints {
    /// Checks before any production traffic moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<Check>,
    /// Checks before each further part moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub during: Vec<Check>,
    /// How long a person is waited for, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_seconds: Option<u32>,
}

impl Checkpoints {
    /// Whether ECS need not ask.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The checks where the new version has so much of the traffic, in per cent.
    pub fn checks(&self, served: u8) -> &[Check] {
        if served == 0 { &self.test } else { &self.during }
    }

    /// The longest time that all of them can take in one deployment, in seconds.
    pub fn longest_seconds(&self, strategy: Strategy) -> u32 {
        let sum = |checks: &[Check]| checks.iter().map(Check::longest_seconds).sum::<u32>();
        let further = match strategy {
            Strategy::AsConfigured | Strategy::Rolling | Strategy::BlueGreen { .. } => 0,
            Strategy::Canary { .. } => 1,
            Strategy::Linear { step, .. } => 100_u32.div_ceil(u32::from(step.max(1))) - 1,
        };
        let pause = self.pause_seconds.unwrap_or_default();
        sum(&self.test).saturating_add(sum(&self.during).saturating_mul(further)).saturating_add(pause)
    }
}
