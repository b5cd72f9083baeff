//! Figures of runs that are over: one small item each, in one partition for each pipeline, sorted by the run's id,
//! which sorts by time.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use pushway_core::figures::Figures;
use pushway_core::ids::RunId;
use pushway_core::keys;
use pushway_core::ports::{Answer, FiguresPage, FiguresQuery, RunFigures};

use super::{IS_NEW, Item, item, parsed, text};
use crate::Aws;
use crate::errors::fault;

const OF_PIPELINE: &str = "pk = :pk AND sk BETWEEN :since AND :until";

impl RunFigures for Aws {
    async fn put_figures(&self, figures: &Figures) -> Answer<()> {
        let put = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item(keys::figures(&figures.pipeline, figures.run), figures)?))
            .condition_expression(IS_NEW)
            .send()
            .await;
        let Err(error) = put else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(fault("dynamodb PutItem", &error)),
        }
    }

    async fn figures(&self, query: &FiguresQuery) -> Answer<FiguresPage> {
        let wanted = query.limit + 1;
        let (mut figures, mut from): (Vec<Figures>, Option<Item>) = (Vec::new(), None);
        let (least, greatest) = (RunId::new(query.since, [0; 10]), RunId::new(query.until, [u8::MAX; 10]));
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(&self.settings.table)
                .key_condition_expression(OF_PIPELINE)
                .expression_attribute_values(":pk", text(keys::figures_of(&query.pipeline)))
                .expression_attribute_values(":since", text(least.to_string()))
                .expression_attribute_values(":until", text(greatest.to_string()))
                .scan_index_forward(false)
                .limit(i32::try_from(wanted - figures.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| fault("dynamodb Query", &error))?;
            for item in page.items() {
                figures.push(parsed(item, "data")?);
            }
            from = page.last_evaluated_key;
            if from.is_none() || figures.len() >= wanted {
                let is_cut = figures.len() > query.limit;
                figures.truncate(query.limit);
                return Ok(FiguresPage { figures, is_cut });
            }
        }
    }
}
