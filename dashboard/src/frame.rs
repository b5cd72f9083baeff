//! What every page stands in: who looks, what they may do, and when.

use jiff::Timestamp;
use pushway_core::access::{Principal, Scope};
use pushway_core::protection::Approvers;

use crate::parts::{Since, When};
use crate::time;

/// Which part of the site a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What runs and what serves.
    Overview,
    /// What waits for people.
    Approvals,
    /// Figures.
    Insights,
    /// None of them.
    Elsewhere,
}

/// What every page needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The time by which "ago" is reckoned.
    pub now: Timestamp,
    /// Who looks; nobody before they sign in.
    pub viewer: Option<Principal>,
    /// What every form sends back in its field `csrf`; empty where there is no session that could be ended.
    pub csrf: String,
    /// How many approvals and pauses wait for someone.
    pub waiting: usize,
    /// Where the page belongs.
    pub section: Section,
}

impl Frame {
    /// The time, rounded down to ten seconds: for pages that are asked for again and again, so that what has
    /// not changed is rendered to the same bytes. The script counts the seconds between.
    pub fn coarse(now: Timestamp) -> Timestamp {
        let seconds = now.as_second();
        Timestamp::from_second(seconds - seconds.rem_euclid(10)).unwrap_or(now)
    }

    /// What tells one wish by a form from the next: what it is about, as it was, and the minute. A page that is clicked
    /// twice says the same twice; who wants the same again later says something else.
    pub(crate) fn once(&self, version: u64) -> String {
        format!("{version}-{}", self.now.as_second() / 60)
    }

    /// Whether whoever looks may do this.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.scopes.allow(scope))
    }

    /// Whether whoever looks may consent, by the scope and by an environment's rule.
    pub(crate) fn may_consent(&self, approvers: &Approvers) -> bool {
        let named = |viewer: &Principal| approvers.allow(&viewer.name, &viewer.groups);
        self.may(Scope::Approve) && self.viewer.as_ref().is_some_and(named)
    }

    pub(crate) fn is_at(&self, section: &str) -> bool {
        matches!(
            (self.section, section),
            (Section::Overview, "overview")
                | (Section::Approvals, "approvals")
                | (Section::Insights, "insights")
        )
    }

    /// A time in words, the full one in its title.
    pub(crate) fn when(&self, at: &Timestamp) -> When {
        When { at: *at, words: time::relative(self.now, *at) }
    }

    /// How long something has been going on.
    pub(crate) fn since(&self, at: &Timestamp) -> Since {
        Since { at: *at, words: time::duration(time::between(*at, self.now)) }
    }
}
