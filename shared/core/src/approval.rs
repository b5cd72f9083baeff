//! An approval: what people are asked to consent to, and what they have said.
//!
//! It is bound to an environment and to images by digest; whoever consents names that binding, so that nobody
//! agrees to something other than what was shown. Pure; who asks and who answers is in `settle/approval.rs`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::commits::CommitRange;
use crate::environment::Deployed;
use crate::ids::{CommitSha, EnvironmentName, ImageDigestRef, RunId};
use crate::protection::{Approvers, ProtectionRule};
use crate::summary::RunSummary;

/// How many pushes an approval shows: more of them nobody reads.
pub const MAX_PUSHES: usize = 20;
/// How many changes of the task definition an approval shows.
pub const MAX_CHANGES: usize = 30;
/// Bytes of JSON that a question takes at most, its images and its rule apart, which have bounds of their own: the run's record holds one for each of its
/// environments, and must stay below the 400 KB of an item (row F22).
const MAX_BYTES: usize = 16 * 1024;

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequest {
    /// What consent is bound to: a hash of the environment and the images.
    pub digest: String,
    /// How many different people must consent, by the pipeline file and the environment's rule.
    pub required: u16,
    /// The environment's rule, as an administrator has set it: it says who counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<ProtectionRule>,
    /// The version of the environment's record in which that rule was found.
    #[serde(default)]
    pub rule_as_of: u64,
    /// How many the pipeline file asks for by itself: no later rule asks for fewer.
    #[serde(default)]
    pub by_file: u16,
    /// Until when.
    pub deadline: Timestamp,
    /// Container name to the image it would get.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// What serves there now, as far as Pushway knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// The pushes that would come to it, newest first, the run's own included.
    pub pushes: Vec<PushLine>,
    /// Whether there are more than are shown.
    #[serde(default)]
    pub has_more: bool,
    /// The commits between what serves and what would come, as the forge tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<CommitRange>,
    /// What it would change of the task definition that serves, a line each; no values of variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<String>>,
    /// What could not be found out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl ApprovalRequest {
    /// Leaves out the oldest commits, the oldest pushes and the last changes, in this order, until what was
    /// gathered is small enough to keep.
    pub fn fit(&mut self) {
        while self.gathered_bytes() > MAX_BYTES {
            if self.commits.as_mut().is_some_and(CommitRange::drop_oldest) {
                continue;
            }
            if self.pushes.len() > 1 {
                self.pushes.pop();
                self.has_more = true;
            } else if self.changes.as_mut().and_then(Vec::pop).is_none() {
                break;
            }
        }
    }

    fn gathered_bytes(&self) -> usize {
        let gathered = serde_json::to_string(&(&self.commits, &self.pushes, &self.changes, &self.notes));
        gathered.map_or(0, |text| text.len())
    }

    /// Who may consent.
    pub fn approvers(&self) -> &Approvers {
        static ANYONE: Approvers = Approvers::ANYONE;
        self.rule.as_ref().map_or(&ANYONE, |rule| &rule.approvers)
    }
}

/// What an approval would replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Serving {
    /// The run that brought it.
    pub run: RunId,
    /// Its commit.
    pub commit: CommitSha,
    /// Since when.
    pub at: Timestamp,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
}

/// A push in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushLine {
    /// Its run.
    pub run: RunId,
    /// Its commit.
    pub commit: CommitSha,
    /// First line of the commit's message.
    pub message: String,
    /// Who wrote the commit.
    pub author: String,
}

/// An approval's place in an environment of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalState {
    /// What was asked.
    pub request: ApprovalRequest,
    /// Who has consented, each of them once.
    pub given: Vec<Consent>,
    /// Why there will be no consent.
    pub refusal: Option<Refusal>,
}

/// One person's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    /// Their name.
    pub by: String,
    /// The groups by which they may.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// What they had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Why a deploy will not be consented to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The caller's ARN; `None` where the time was over.
    pub by: Option<String>,
    /// In their words.
    pub reason: String,
}

/// That an environment's rule is not what it was when people were asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleChange {
    /// How many different people must consent now.
    pub required: u16,
    /// The rule; `None`: there is none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<ProtectionRule>,
    /// The version of the environment's record in which it was found.
    pub as_of: u64,
    /// Until when people are waited for.
    pub deadline: Timestamp,
}

impl ApprovalState {
    /// A question that nobody has answered yet.
    pub fn new(request: ApprovalRequest) -> Self {
        Self { request, given: Vec::new(), refusal: None }
    }

    /// Whether someone's consent counts.
    pub fn counts(&self, consent: &Consent) -> bool {
        self.request.approvers().allow(&consent.by, &consent.groups)
    }

    /// How many people's consent counts: the rule may have changed since they gave it.
    pub fn counted(&self) -> usize {
        self.given.iter().filter(|consent| self.counts(consent)).count()
    }

    /// Whether enough people have consented.
    pub fn is_granted(&self) -> bool {
        self.counted() >= usize::from(self.request.required)
    }

    /// Notes someone's consent. One person is one consent, however often they say so; but what does not count any
    /// more is said anew.
    pub fn consent(&mut self, consent: &Consent) {
        match self.given.iter().position(|given| given.by == consent.by) {
            Some(known) if self.counts(&self.given[known]) => {}
            Some(known) => self.given[known] = consent.clone(),
            None => self.given.push(consent.clone()),
        }
    }

    /// Asks by a newer state of the rule than before; an older one is no news.
    pub fn change(&mut self, change: &RuleChange) {
        let request = &mut self.request;
        if change.as_of > request.rule_as_of {
            (request.required, request.rule_as_of) = (change.required, change.as_of);
            request.rule.clone_from(&change.rule);
            request.deadline = change.deadline;
        }
    }

    /// Whether it still waits for someone.
    pub fn is_open(&self) -> bool {
        !self.is_granted() && self.refusal.is_none()
    }
}

impl From<&Deployed> for Serving {
    fn from(deployed: &Deployed) -> Self {
        let Deployed { run, commit, at, images, .. } = deployed.clone();
        Self { run, commit, at, images }
    }
}

impl From<&RunSummary> for PushLine {
    fn from(run: &RunSummary) -> Self {
        let RunSummary { id, commit, message, author, .. } = run.clone();
        Self { run: id, commit, message, author }
    }
}

/// What consent to a deploy of these images is bound to.
pub fn digest(environment: &EnvironmentName, images: &BTreeMap<String, ImageDigestRef>) -> String {
    let canonical = serde_json::json!({ "environment": environment, "images": images }).to_string();
    hex::encode(sha2::Sha256::digest(canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commits::{CommitLine, CommitList};
    use crate::protection::MAX_RULE_BYTES;

    fn widest_rule() -> ProtectionRule {
        let patterns = (10..30).map(|n| format!("token:{n}{}", "x".repeat(192))).collect();
        ProtectionRule::new(1, patterns, "ada".into(), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn f22_a_question_stays_small_whatever_was_pushed() {
        let commit = |number: usize| -> CommitSha { format!("{number:040}").parse().unwrap() };
        // A control character takes six bytes of JSON.
        let hostile = "\u{1b}".repeat(2_000);
        let lines = |from: usize| {
            CommitList::of((from..from + 21).map(|n| CommitLine::new(commit(n), &hostile, &hostile)))
        };
        let push = |number| PushLine {
            run: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            commit: commit(number),
            message: crate::source::Source::title_of(&hostile),
            author: "Ada".into(),
        };
        let mut request = ApprovalRequest {
            digest: String::new(),
            required: 1,
            rule: Some(widest_rule()),
            rule_as_of: 1,
            by_file: 1,
            deadline: Timestamp::UNIX_EPOCH,
            images: BTreeMap::new(),
            serving: None,
            pushes: (0..MAX_PUSHES).map(push).collect(),
            has_more: false,
            commits: CommitRange::between(lines(0), lines(100)),
            changes: Some(vec!["x".repeat(300); MAX_CHANGES]),
            notes: Vec::new(),
        };
        request.fit();
        let size = serde_json::to_string(&request).unwrap().len();
        assert!(size < MAX_BYTES + MAX_RULE_BYTES + 1_024, "{size} bytes");
        let commits = request.commits.unwrap();
        // The newest of everything is still there, and nobody takes it for all.
        assert_eq!((&commits.coming[0].commit, &commits.leaving[0].commit), (&commit(0), &commit(100)));
        assert_eq!(request.pushes[0].commit, commit(0));
        assert!(commits.has_more && commits.has_more_leaving && request.has_more);
        assert_eq!(request.changes.unwrap().len(), MAX_CHANGES);
    }
}
