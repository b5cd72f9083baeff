//! Deliveries and pushes: what makes "once" once.
//!
//! A delivery is known by its forge's id and by its content; both lead to the one run that it started.

use jiff::{SignedDuration, Timestamp};
use pushway_core::ids::DeliveryId;
use pushway_core::keys::{self, FILES};
use pushway_core::ports::{
    Answer, Clock as _, Deliveries, DeliveryOutcome, Fault, NewRun, ReadDeliveries, Recorded,
    RecordedDelivery,
};
use pushway_core::source::{Hook, Provider};

use super::{HISTORY, IS_NEW, Item, item, json, number, parsed, runs, text, transaction_token};
use crate::Aws;

/// How long the table keeps a delivery: twice as long as a forge could plausibly repeat it, and longer than
/// the 90 days for which Step Functions remembers an execution's name.
const KEPT: SignedDuration = SignedDuration::from_hours(180 * 24);
/// What has expired is as good as gone: the table deletes it some days later.
const IS_NEW_OR_EXPIRED: &str = "attribute_not_exists(pk) OR expires_at < :now";

impl Deliveries for Aws {
    async fn record_run(&self, new: &NewRun) -> Answer<Recorded> {
        let NewRun { run, entry, content_key, files, history } = new;
        let source = &run.source;
        let known = RecordedDelivery { outcome: DeliveryOutcome::Run(run.id), at: run.received_at };
        let delivery = keys::delivery(source.provider, &source.hook, &source.delivery);
        let push = keys::push(content_key);
        let once = [expiring(delivery.clone(), &known)?, expiring(push.clone(), &known)?];
        let once = once.map(|item| {
            let now = number(known.at.as_second());
            self.put(item, IS_NEW_OR_EXPIRED).expression_attribute_values(":now", now)
        });
        let mut items = vec![runs::snapshot(run)?, runs::fact(run.id, entry)?];
        if !files.is_empty() || !history.is_empty() {
            let mut carried = item(keys::run_part(run.id, FILES), files)?;
            carried.insert(HISTORY.into(), text(json(history)?));
            items.push(carried);
        }
        let token = transaction_token(&["record_run", &run.id.to_string()]);
        let puts = items.into_iter().map(|item| self.put(item, IS_NEW));
        if self.transact(token, once.into_iter().chain(puts)).await?.is_ok() {
            return Ok(Recorded::New);
        }
        let stored = match self.known(delivery, known.at).await? {
            Some(stored) => Some(stored),
            None => self.known(push, known.at).await?,
        };
        match stored {
            // The answer to our own write was lost.
            Some(stored) if stored.outcome == known.outcome => Ok(Recorded::New),
            Some(stored) => Ok(Recorded::Before(stored.outcome)),
            None => Err(Fault::Retryable(format!("delivery {} is being recorded", source.delivery))),
        }
    }

    async fn record_ignored(
        &self,
        provider: Provider,
        hook: &Hook,
        delivery: &DeliveryId,
        rule: &str,
        now: Timestamp,
    ) -> Answer<Recorded> {
        let known = RecordedDelivery { outcome: DeliveryOutcome::Ignored(rule.to_owned()), at: now };
        let item = expiring(keys::delivery(provider, &hook.id, delivery), &known)?;
        let written = self.put_if(item, |put| {
            put.condition_expression(IS_NEW_OR_EXPIRED)
                .expression_attribute_values(":now", number(now.as_second()))
        });
        match written.await? {
            Ok(()) => Ok(Recorded::New),
            Err(Some(stored)) => Ok(Recorded::Before(parsed::<RecordedDelivery>(&stored, "data")?.outcome)),
            Err(None) => Err(Fault::Retryable(format!("delivery {delivery} is being recorded"))),
        }
    }
}

impl ReadDeliveries for Aws {
    async fn delivery(&self, hook: &Hook, delivery: &DeliveryId) -> Answer<Option<RecordedDelivery>> {
        self.known(keys::delivery(hook.provider, &hook.id, delivery), self.now()).await
    }
}

impl Aws {
    /// The record under a key, unless it has expired.
    async fn known(&self, key: keys::Key, now: Timestamp) -> Answer<Option<RecordedDelivery>> {
        let known: Option<RecordedDelivery> = self.thing(key).await?;
        Ok(known.filter(|known| known.at + KEPT > now))
    }
}

fn expiring(key: keys::Key, known: &RecordedDelivery) -> Answer<Item> {
    let mut item = item(key, known)?;
    item.insert("expires_at".into(), number((known.at + KEPT).as_second()));
    Ok(item)
}
