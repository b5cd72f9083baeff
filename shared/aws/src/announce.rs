//! News of runs for the event bus and the topic that the installation names.
//!
//! At least once: a sink that took the news and whose answer was lost gets it again.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use pushway_core::notice::News;
use pushway_core::ports::{Announcements, Answer, Fault};

use crate::Aws;
use crate::errors::fault;

/// The source of Pushway's events.
const SOURCE: &str = "pushway";
/// Their detail type.
const DETAIL_TYPE: &str = "Pushway Run Status Change";

impl Announcements for Aws {
    async fn announce(&self, news: &News) -> Answer<()> {
        let detail = serde_json::to_string(news)
            .map_err(|error| Fault::Permanent(format!("write the news of run {}: {error}", news.run.id)))?;
        if let Some(bus) = &self.settings.event_bus {
            self.put_event(bus, &detail).await?;
        }
        // Only what is over is worth a message to people.
        if let Some(topic) = self.settings.topic.as_ref().filter(|_| news.run.status.is_terminal()) {
            let subject = subject(news);
            let call = self.sns.publish().topic_arn(topic).subject(subject).message(&detail);
            call.send().await.map_err(|error| fault("sns Publish", &error))?;
        }
        Ok(())
    }
}

impl Aws {
    async fn put_event(&self, bus: &str, detail: &str) -> Answer<()> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(SOURCE)
            .detail_type(DETAIL_TYPE)
            .detail(detail)
            .build();
        let answer = self.eventbridge.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| fault("events PutEvents", &error))?;
        match answer.entries().first().and_then(|entry| entry.error_code()) {
            None => Ok(()),
            Some(code) => Err(Fault::Retryable(format!("events PutEvents: {code} from the bus {bus}"))),
        }
    }
}

/// SNS takes subjects of fewer than 100 printable ASCII characters (API Reference, `Publish`).
fn subject(news: &News) -> String {
    let pipeline = news.run.pipeline.as_ref().map_or("pushway".to_owned(), ToString::to_string);
    let text = format!("{pipeline}: {} ({})", news.run.status, news.run.git_ref.short());
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(99).collect()
}
