//! What the installation tells its functions: read once, from environment variables that the template sets.
//!
//! No other module reads the environment (the SDK's own variables apart).

use ipnet::IpNet;
use pushway_core::issuer::IssuerSettings;
use pushway_core::ports::Fault;
use pushway_core::prices::Prices;
use pushway_core::source::Zone;

/// Name of the variable that holds the table's name.
pub const TABLE: &str = "PUSHWAY_TABLE";
/// Name of the variable that holds the state machine's ARN.
pub const STATE_MACHINE: &str = "PUSHWAY_STATE_MACHINE_ARN";
/// Name of the variable that holds the `CodeBuild` project's name.
pub const BUILD_PROJECT: &str = "PUSHWAY_BUILD_PROJECT";
/// Name of the variable that holds the `CodeBuild` project's name for code that nobody has merged.
pub const UNTRUSTED_PROJECT: &str = "PUSHWAY_UNTRUSTED_PROJECT";
/// Name of the variable that holds the bucket that builds leave artifacts in.
pub const ARTIFACTS: &str = "PUSHWAY_ARTIFACTS_BUCKET";
/// Name of the variable that holds the address under which runs have their pages.
pub const PAGES: &str = "PUSHWAY_PAGES_URL";
/// Name of the variable that holds the event bus that is told of runs.
pub const EVENT_BUS: &str = "PUSHWAY_EVENT_BUS";
/// Name of the variable that holds the ARN of the SNS topic that is told of runs.
pub const TOPIC: &str = "PUSHWAY_TOPIC_ARN";
/// Name of the variable that holds the private networks that checks may reach, as CIDRs with commas between.
pub const VALIDATION_ALLOW: &str = "PUSHWAY_VALIDATION_ALLOW";
/// Name of the variable that holds which roles may be passed to tasks, as ARNs with * and commas between.
pub const TASK_ROLES: &str = "PUSHWAY_TASK_ROLES";
/// Name of the variable that holds which roles may start scheduled tasks, in the same way.
pub const SCHEDULE_ROLES: &str = "PUSHWAY_SCHEDULE_ROLES";
/// Name of the variable that holds the ARN of the function that ECS asks before it moves traffic.
pub const HOOK_FUNCTION: &str = "PUSHWAY_HOOK_FUNCTION_ARN";
/// Name of the variable that holds the ARN of the role by which ECS may ask it.
pub const HOOK_ROLE: &str = "PUSHWAY_HOOK_ROLE_ARN";

/// Name of the variable that holds the account's own prices, as `pushway_core::prices` reads them.
pub const PRICES: &str = "PUSHWAY_PRICES";
/// Name of the variable that says whether anyone may see badges: `yes` or `no`.
pub const PUBLIC_BADGES: &str = "PUSHWAY_PUBLIC_BADGES";
/// Name of the variable that holds the issuer that people sign in with, as `pushway_core::issuer` reads it.
pub const ISSUER: &str = "PUSHWAY_ISSUER";

/// The settings of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The state machine's ARN; only functions that start or read executions have it.
    pub state_machine: Option<String>,
    /// The `CodeBuild` project's name; only functions that start builds have it.
    pub build_project: Option<String>,
    /// The `CodeBuild` project's name for code that nobody has merged.
    pub untrusted_project: Option<String>,
    /// The bucket that builds leave artifacts in; only functions that start or read builds have it.
    pub artifacts: Option<String>,
    /// The address under which runs have their pages.
    pub pages: Option<String>,
    /// The event bus that is told of runs, if there is one.
    pub event_bus: Option<String>,
    /// The SNS topic that is told of runs, if there is one.
    pub topic: Option<String>,
    /// Patterns of roles that may be passed to tasks; none where the function passes none.
    pub task_roles: Vec<String>,
    /// Patterns of roles that may start scheduled tasks; none where the function leaves none in place.
    pub schedule_roles: Vec<String>,
    /// The function that ECS asks before it moves traffic; only functions that deploy have it.
    pub hook_function: Option<String>,
    /// The role by which ECS may ask it.
    pub hook_role: Option<String>,
    /// Networks that checks may reach though they are not public.
    pub allow_private: Vec<IpNet>,
    /// What things cost: the published prices, unless the installation has its own.
    pub prices: Prices,
    /// Whether anyone may see badges.
    pub public_badges: bool,
    /// The issuer that people sign in with, if there is one.
    pub issuer: Option<IssuerSettings>,
}

/// A variable that is missing or can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} {problem}; mend it in template.yaml")]
pub struct BadSetting {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Settings {
    /// The settings in the process's environment. An empty variable counts as missing.
    pub fn from_env() -> Result<Self, BadSetting> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// The settings of a program that works on the table alone.
    pub fn for_table(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            state_machine: None,
            build_project: None,
            untrusted_project: None,
            artifacts: None,
            pages: None,
            event_bus: None,
            topic: None,
            task_roles: Vec::new(),
            schedule_roles: Vec::new(),
            hook_function: None,
            hook_role: None,
            allow_private: Vec::new(),
            prices: Prices::published(),
            public_badges: false,
            issuer: None,
        }
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        let missing = BadSetting { variable: TABLE, problem: "is missing".into() };
        Ok(Self {
            table: get(TABLE).ok_or(missing)?,
            state_machine: get(STATE_MACHINE),
            build_project: get(BUILD_PROJECT),
            untrusted_project: get(UNTRUSTED_PROJECT),
            artifacts: get(ARTIFACTS),
            pages: get(PAGES),
            event_bus: get(EVENT_BUS),
            topic: get(TOPIC),
            task_roles: patterns(get(TASK_ROLES)),
            schedule_roles: patterns(get(SCHEDULE_ROLES)),
            hook_function: get(HOOK_FUNCTION),
            hook_role: get(HOOK_ROLE),
            allow_private: networks(&get(VALIDATION_ALLOW).unwrap_or_default())?,
            prices: prices(get(PRICES))?,
            public_badges: get(PUBLIC_BADGES).is_some_and(|word| word == "yes"),
            issuer: get(ISSUER).as_deref().map(issuer).transpose()?,
        })
    }

    /// The state machine's ARN, for ports that need it.
    pub(crate) fn state_machine(&self) -> Result<&str, Fault> {
        self.state_machine.as_deref().ok_or_else(|| unset(STATE_MACHINE))
    }

    /// Function and role of the hook by which ECS asks, for ports that set it.
    pub(crate) fn check_hook(&self) -> Result<(&str, &str), Fault> {
        let function = self.hook_function.as_deref().ok_or_else(|| unset(HOOK_FUNCTION))?;
        let role = self.hook_role.as_deref().ok_or_else(|| unset(HOOK_ROLE))?;
        Ok((function, role))
    }

    /// The `CodeBuild` project, for ports that need it.
    pub(crate) fn build_project(&self, zone: Zone) -> Result<&str, Fault> {
        match zone {
            Zone::Trusted => self.build_project.as_deref().ok_or_else(|| unset(BUILD_PROJECT)),
            Zone::Untrusted => self.untrusted_project.as_deref().ok_or_else(|| unset(UNTRUSTED_PROJECT)),
        }
    }

    /// The bucket that builds leave artifacts in, for ports that need it.
    pub(crate) fn artifacts(&self) -> Result<&str, Fault> {
        self.artifacts.as_deref().ok_or_else(|| unset(ARTIFACTS))
    }
}

fn unset(variable: &'static str) -> Fault {
    Fault::Permanent(BadSetting { variable, problem: "is missing".into() }.to_string())
}

fn patterns(text: Option<String>) -> Vec<String> {
    let texts = text.map(|text| text.split(',').map(|part| part.trim().to_owned()).collect());
    texts.unwrap_or_default()
}

fn networks(text: &str) -> Result<Vec<IpNet>, BadSetting> {
    let parse = |part: &str| {
        let problem = |_| format!("holds {part:?}, which is not a network such as 10.0.0.0/8");
        part.parse().map_err(problem).map_err(|problem| BadSetting { variable: VALIDATION_ALLOW, problem })
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse).collect()
}

fn prices(text: Option<String>) -> Result<Prices, BadSetting> {
    let read = text.map_or_else(|| Ok(Prices::published()), |text| Prices::read(&text));
    read.map_err(|bad| BadSetting { variable: PRICES, problem: format!("holds no prices: {bad}") })
}

fn issuer(text: &str) -> Result<IssuerSettings, BadSetting> {
    let bad = |problem| BadSetting { variable: ISSUER, problem: format!("holds no issuer: {problem}") };
    IssuerSettings::read(text).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_missing_table_is_named() {
        let error = read(&[(TABLE, "")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable PUSHWAY_TABLE is missing; mend it in template.yaml"
        );
    }

    #[test]
    fn what_a_function_does_not_need_may_be_missing_until_it_is_used() {
        let settings = read(&[(TABLE, "t")]).unwrap();
        assert!(settings.allow_private.is_empty());
        let Err(Fault::Permanent(text)) = settings.build_project(Zone::Trusted) else {
            panic!("there is no project")
        };
        assert!(text.contains(BUILD_PROJECT), "{text}");
        let Err(Fault::Permanent(text)) = settings.state_machine() else { panic!("there is no machine") };
        assert!(text.contains(STATE_MACHINE), "{text}");
    }

    #[test]
    fn networks_are_read_with_their_spaces_and_a_wrong_one_is_shown() {
        let settings = read(&[(TABLE, "t"), (VALIDATION_ALLOW, "10.0.0.0/8, ::1/128,")]).unwrap();
        assert_eq!(settings.allow_private.len(), 2);
        let error = read(&[(TABLE, "t"), (VALIDATION_ALLOW, "10.0.0.0")]).unwrap_err();
        assert!(error.to_string().contains("\"10.0.0.0\""), "{error}");
    }

    #[test]
    fn prices_are_the_published_ones_unless_the_installation_has_its_own() {
        assert_eq!(read(&[(TABLE, "t")]).unwrap().prices, Prices::published());
        let own = read(&[(TABLE, "t"), (PRICES, r#"{ "lambda.request": "0.0000003" }"#)]).unwrap();
        assert_ne!(own.prices, Prices::published());
        let error = read(&[(TABLE, "t"), (PRICES, r#"{ "lambda.request": 3 }"#)]).unwrap_err().to_string();
        assert!(error.contains(PRICES) && error.contains("expected a string"), "{error}");
    }
}
