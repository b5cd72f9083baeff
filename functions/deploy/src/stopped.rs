//! Why a deploy did not begin: each kind is recorded and told in its own way.

use pushway_core::fact::DeployFailure;
use pushway_core::ports::Fault;

/// Why a deploy did not begin.
pub(crate) enum Stopped {
    /// It can't be done, and the service was not touched.
    Refused(String),
    /// What had to happen first did not, and the service was not touched.
    Failed(Box<DeployFailure>),
    /// A person has stopped the run.
    ByPerson(String),
    /// The world outside failed.
    Fault(Fault),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
