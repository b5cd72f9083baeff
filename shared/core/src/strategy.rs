//! How a service moves to a new version, as the pipeline file asks for it, and what a service needs for it.
//!
//! The strategies are ECS' own (Amazon ECS API Reference, `DeploymentConfiguration`): ECS shifts the traffic,
//! waits, watches the alarms and goes back. Pushway asks for it, follows the deployment by its id, and stops it
//! where it must. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckHook;
use crate::messages::deploys;

/// How a target moves to a new artifact. Times are whole minutes, as ECS takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As the service itself is set.
    #[default]
    AsConfigured,
    /// Task by task.
    Rolling,
    /// All at once, with the old version kept for a while.
    BlueGreen {
        /// How long both versions run after the traffic has moved.
        bake_minutes: u16,
    },
    /// A part first, then the rest.
    Canary {
        /// Per cent of the traffic that moves first.
        percent: u8,
        /// How long only that part is served by the new version.
        hold_minutes: u16,
        /// How long both versions run after all traffic has moved.
        bake_minutes: u16,
    },
    /// In equal steps.
    Linear {
        /// Per cent of the traffic that moves with each step.
        step: u8,
        /// The pause between two steps.
        every_minutes: u16,
        /// How long both versions run after all traffic has moved.
        bake_minutes: u16,
    },
}

/// How a service is told to move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Movement {
    /// The strategy.
    pub strategy: Strategy,
    /// Alarms that make ECS go back by itself.
    pub alarms: Vec<String>,
    /// Whom ECS asks before it moves traffic.
    pub hook: Option<CheckHook>,
}

/// What a service is set to and has, as far as strategies need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentSettings {
    /// Who moves it (`deploymentController`): `ECS`, `CODE_DEPLOY` or `EXTERNAL`; empty means `ECS`.
    pub controller: String,
    /// Load balancers without a second target group to move the traffic to.
    pub fixed_balancers: u32,
    /// Load balancers that have one, Service Connect, VPC Lattice: what ECS can shift traffic with.
    pub shifting: u32,
}

impl Strategy {
    /// Whether ECS shifts traffic between two whole sets of tasks.
    pub fn shifts_traffic(self) -> bool {
        matches!(self, Self::BlueGreen { .. } | Self::Canary { .. } | Self::Linear { .. })
    }

    /// How long ECS waits by the strategy's own will, in seconds: a deploy takes at least this.
    pub fn waits_seconds(self) -> u32 {
        let minutes = match self {
            Self::AsConfigured | Self::Rolling => 0,
            Self::BlueGreen { bake_minutes } => u32::from(bake_minutes),
            Self::Canary { hold_minutes, bake_minutes, .. } => {
                u32::from(hold_minutes) + u32::from(bake_minutes)
            }
            // After the last step there is no pause but the bake.
            Self::Linear { step, every_minutes, bake_minutes } => {
                let pauses = 100_u32.div_ceil(u32::from(step.max(1))) - 1;
                pauses * u32::from(every_minutes) + u32::from(bake_minutes)
            }
        };
        minutes * 60
    }

    /// Whether the service has what it takes; else what is missing.
    pub fn check(self, service: &str, settings: &DeploymentSettings) -> Result<(), String> {
        if self == Self::AsConfigured {
            return Ok(());
        }
        if !matches!(settings.controller.as_str(), "" | "ECS") {
            return Err(deploys::other_controller(service, &settings.controller));
        }
        if self.shifts_traffic() && settings.fixed_balancers > 0 {
            return Err(deploys::no_alternate_target_group(service));
        }
        // Blue/green without anything to shift is a swap of all tasks; parts of the traffic need more.
        if matches!(self, Self::Canary { .. } | Self::Linear { .. }) && settings.shifting == 0 {
            return Err(deploys::nothing_to_shift(service));
        }
        Ok(())
    }
}

impl Movement {
    /// The way back after ECS has completed the way there: at once where the strategy would take its time.
    pub fn back(strategy: Strategy) -> Self {
        let strategy = if strategy.shifts_traffic() {
            Strategy::BlueGreen { bake_minutes: 0 }
        } else {
            Strategy::AsConfigured
        };
        Self { strategy, alarms: Vec::new(), hook: None }
    }

    /// Whether the service is moved as it is set.
    pub fn is_as_configured(&self) -> bool {
        self.strategy == Strategy::AsConfigured && self.alarms.is_empty() && self.hook.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: Strategy = Strategy::Canary { percent: 10, hold_minutes: 5, bake_minutes: 2 };

    #[test]
    fn a_strategys_waits_add_up() {
        assert_eq!(CANARY.waits_seconds(), 7 * 60);
        let linear = |step| Strategy::Linear { step, every_minutes: 2, bake_minutes: 5 }.waits_seconds() / 60;
        assert_eq!((linear(20), linear(30), linear(100)), (4 * 2 + 5, 3 * 2 + 5, 5));
        assert_eq!(Strategy::Rolling.waits_seconds(), 0);
    }

    #[test]
    fn a_service_that_can_not_be_moved_so_is_refused_in_words() {
        let settings = |controller: &str, fixed_balancers, shifting| DeploymentSettings {
            controller: controller.into(),
            fixed_balancers,
            shifting,
        };
        let blue_green = Strategy::BlueGreen { bake_minutes: 5 };
        for good in [settings("ECS", 0, 1), settings("", 0, 1)] {
            assert_eq!((CANARY.check("web", &good), blue_green.check("web", &good)), (Ok(()), Ok(())));
        }
        assert_eq!(blue_green.check("web", &settings("ECS", 0, 0)), Ok(()), "a service without traffic");
        assert_eq!(Strategy::Rolling.check("web", &settings("ECS", 1, 0)), Ok(()));
        assert_eq!(Strategy::AsConfigured.check("web", &settings("CODE_DEPLOY", 1, 0)), Ok(()));
        let said = |strategy: Strategy, settings| strategy.check("web", &settings).unwrap_err();
        insta::assert_snapshot!(said(Strategy::Rolling, settings("CODE_DEPLOY", 0, 1)), @r#"service "web" is moved by its deployment controller CODE_DEPLOY, and a strategy takes the controller ECS; leave `strategy` out, or create the service with the controller ECS"#);
        insta::assert_snapshot!(said(blue_green, settings("ECS", 1, 0)), @r#"service "web" has a load balancer without an alternate target group, which ECS shifts the traffic to; add alternateTargetGroupArn, productionListenerRule and roleArn to its advancedConfiguration, or use `strategy: rolling`"#);
        insta::assert_snapshot!(said(CANARY, settings("ECS", 0, 0)), @r#"service "web" has no load balancer, Service Connect or VPC Lattice that could split its traffic; use `strategy: rolling` or `blue_green`"#);
    }
}
