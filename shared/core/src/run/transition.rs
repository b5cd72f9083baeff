//! What applying a fact can come to: a change, no news, or a typed refusal.

use super::{Run, Status};
use crate::fact::Entry;
use crate::ids::RunId;

/// What applying a fact came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// The fact was new: store this run and this entry together.
    Changed(Box<Run>, Box<Entry>),
    /// The run already says so.
    Unchanged,
}

/// Why a fact can't follow from the facts before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// The run is over.
    #[error("run {run} is over ({status}); it never changes")]
    Terminal {
        /// Which run.
        run: RunId,
        /// Its final status.
        status: Status,
    },
    /// The fact comes before what it builds on.
    #[error("{fact} can't be recorded yet: {missing}")]
    TooEarly {
        /// The fact's name.
        fact: &'static str,
        /// What must happen first.
        missing: String,
    },
    /// The run holds another fact in the same place.
    #[error("{fact} contradicts the journal: {reason}")]
    Contradicts {
        /// The fact's name.
        fact: &'static str,
        /// What the journal says.
        reason: String,
    },
}

pub(super) fn too_early(fact: &'static str, missing: impl Into<String>) -> IllegalTransition {
    IllegalTransition::TooEarly { fact, missing: missing.into() }
}

pub(super) fn contradicts(fact: &'static str, reason: impl Into<String>) -> IllegalTransition {
    IllegalTransition::Contradicts { fact, reason: reason.into() }
}

/// Sets what is known once for all; the same again is no news.
pub(super) fn set_once<T: Clone + PartialEq>(
    slot: &mut Option<T>,
    value: &T,
    fact: &'static str,
) -> Result<(), IllegalTransition> {
    match slot {
        None => *slot = Some(value.clone()),
        Some(known) if known == value => {}
        Some(_) => return Err(contradicts(fact, "the journal has another one")),
    }
    Ok(())
}
