//! The part of an approval in an environment's fold: people are asked once, by a rule that may change, and consent
//! or refuse.
//!
//! Who may consent is told by the rule as the journal knows it; that it is the newest is for those who write
//! (`settle/approval.rs`), and whether it still is when the lock is taken, for the environment's record.

use super::EnvironmentState;
use super::transition::{IllegalTransition, contradicts, set_once, too_early};
use crate::approval::{ApprovalRequest, ApprovalState, Consent, Refusal, RuleChange};
use crate::fact::{Cause, Fact};
use crate::messages;

impl EnvironmentState {
    /// Folds a fact about consent; gives the cause of failure it tells of, if any.
    pub(super) fn fold_approval(&mut self, fact: &Fact) -> Result<Option<Cause>, IllegalTransition> {
        match fact {
            Fact::ApprovalAsked { request, .. } => self.fold_asked(request).map(|()| None),
            Fact::ApprovalRuleChanged { change, .. } => self.fold_rule_changed(change).map(|()| None),
            Fact::Approved { digest, consent, .. } => self.fold_approved(digest, consent).map(|()| None),
            Fact::ApprovalRefused { refusal, .. } => self.fold_refused(refusal).map(Some),
            _ => Ok(None),
        }
    }

    fn fold_asked(&mut self, request: &ApprovalRequest) -> Result<(), IllegalTransition> {
        match &self.approval {
            None if self.fence.is_some() => {
                Err(contradicts("approval_asked", "the run has taken the environment"))
            }
            None => {
                self.approval = Some(ApprovalState::new(request.clone()));
                Ok(())
            }
            // Asked again after a crash: the first request counts, with its deadline.
            Some(known) if known.request.digest == request.digest => Ok(()),
            Some(_) => Err(contradicts("approval_asked", "it was asked for other images")),
        }
    }

    fn fold_rule_changed(&mut self, change: &RuleChange) -> Result<(), IllegalTransition> {
        let asked = self.approval.as_mut();
        let asked = asked.ok_or_else(|| too_early("approval_rule_changed", "nobody was asked"))?;
        if self.fence.is_some() {
            return Err(contradicts("approval_rule_changed", "the run has taken the environment"));
        }
        if asked.refusal.is_none() {
            asked.change(change);
        }
        Ok(())
    }

    fn fold_approved(&mut self, digest: &str, consent: &Consent) -> Result<(), IllegalTransition> {
        let asked = self.approval.as_mut().ok_or_else(|| too_early("approved", "nobody was asked"))?;
        if asked.request.digest != digest {
            return Err(contradicts("approved", "consent was asked for other images"));
        }
        if asked.given.iter().any(|given| given.by == consent.by && asked.counts(given)) {
            return Ok(());
        }
        if let Some(refusal) = &asked.refusal {
            return Err(contradicts("approved", messages::refused(refusal)));
        }
        if !asked.counts(consent) {
            let Consent { by, groups, .. } = consent;
            let approvers = asked.request.approvers();
            return Err(contradicts(
                "approved",
                messages::may_not_approve(&self.name, approvers, by, groups),
            ));
        }
        asked.consent(consent);
        Ok(())
    }

    fn fold_refused(&mut self, refusal: &Refusal) -> Result<Cause, IllegalTransition> {
        let missing = || too_early("approval_refused", "nobody was asked");
        let asked = self.approval.as_mut().ok_or_else(missing)?;
        if asked.is_granted() {
            return Err(contradicts("approval_refused", "enough people have consented"));
        }
        set_once(&mut asked.refusal, refusal, "approval_refused")?;
        Ok(messages::not_approved(&self.name, refusal))
    }
}
