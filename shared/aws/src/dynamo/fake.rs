//! A table of `DynamoDB` in memory, behind the SDK's own client (tests only): items, indexes in the order of their
//! keys, pages, read units as AWS counts them, and throttling.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value, json};

use crate::{Aws, Settings};

const TABLE: &str = "t";

/// The table, what was asked of it, and how badly it answers.
#[derive(Debug, Default)]
pub(super) struct State {
    items: BTreeMap<(String, String), Map<String, Value>>,
    /// Operation and body of each request that was let through.
    pub(super) asked: Vec<(String, Value)>,
    /// How many requests were throttled.
    pub(super) throttled: u32,
    /// Of 256 requests so many are throttled.
    throttles: u8,
    dice: u64,
    /// What the next conditional put meets: another one's item, just before it.
    pub(super) first: Option<Value>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table(Arc<Mutex<State>>);

impl Table {
    /// The ports on a fresh table that throttles so many of 256 requests.
    pub(super) fn ports(throttles: u8) -> (Aws, Self) {
        let table = Self(Arc::new(Mutex::new(State { throttles, dice: 7, ..State::default() })));
        let connector = table.clone();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "k", "s", None, None, "test",
            )))
            .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone())))
            .build();
        let mut aws = Aws::with_config(&config, Settings::for_table(TABLE));
        // As often as ever, but without the seconds between.
        let retry = RetryConfig::standard()
            .with_max_attempts(crate::MAX_ATTEMPTS)
            .with_initial_backoff(Duration::from_micros(10));
        let client = aws.dynamodb.config().to_builder().retry_config(retry).build();
        aws.dynamodb = aws_sdk_dynamodb::Client::from_conf(client);
        (aws, table)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpConnector for Table {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let (status, answer) = self.state().answer(operation, &body);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            StatusCode::try_from(status).unwrap(),
            SdkBody::from(answer.to_string()),
        )))
    }
}

fn failed(code: &str) -> (u16, Value) {
    (400, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": code }))
}

fn key(item: &Value) -> (String, String) {
    (of(item, "pk"), of(item, "sk"))
}

fn of(item: &Value, name: &str) -> String {
    item[name]["S"].as_str().unwrap_or_default().to_owned()
}

impl State {
    fn answer(&mut self, operation: &str, body: &Value) -> (u16, Value) {
        // Knuth's generator (MMIX): the same course in every run.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if u8::try_from(self.dice >> 56).unwrap() < self.throttles {
            self.throttled += 1;
            return failed("ProvisionedThroughputExceededException");
        }
        self.asked.push((operation.to_owned(), body.clone()));
        match operation {
            "GetItem" => match self.items.get(&key(&body["Key"])) {
                Some(item) => (200, json!({ "Item": item })),
                None => (200, json!({})),
            },
            "PutItem" => {
                if let Some(first) = self.first.take() {
                    self.put(&first);
                }
                let is_new = body["ConditionExpression"] == super::IS_NEW;
                if is_new && self.items.contains_key(&key(&body["Item"])) {
                    return failed("ConditionalCheckFailedException");
                }
                self.put(&body["Item"]);
                (200, json!({}))
            }
            "BatchWriteItem" => {
                let writes = body["RequestItems"][TABLE].as_array().unwrap();
                assert!(writes.len() <= 25, "too many for a batch");
                for write in writes {
                    self.put(&write["PutRequest"]["Item"]);
                }
                (200, json!({ "UnprocessedItems": {} }))
            }
            "BatchGetItem" => {
                let keys = body["RequestItems"][TABLE]["Keys"].as_array().unwrap();
                // It gives half of them at first, and in an order of its own.
                let (now, later) = keys.split_at(keys.len().div_ceil(2));
                let items: Vec<_> =
                    now.iter().rev().filter_map(|wanted| self.items.get(&key(wanted))).collect();
                let left = if later.is_empty() { json!({}) } else { json!({ TABLE: { "Keys": later } }) };
                (200, json!({ "Responses": { TABLE: items }, "UnprocessedKeys": left }))
            }
            "TransactWriteItems" => (200, json!({})),
            "Query" => (200, self.query(body)),
            other => panic!("nobody asks {other}"),
        }
    }

    fn put(&mut self, item: &Value) {
        self.items.insert(key(item), item.as_object().unwrap().clone());
    }

    /// `<hash> = :v AND <range> BETWEEN :a AND :b`, which is how all indexes are asked.
    fn query(&self, body: &Value) -> Value {
        let condition = body["KeyConditionExpression"].as_str().unwrap();
        let words: Vec<&str> = condition.split(' ').collect();
        let [hash, "=", wanted, "AND", range, "BETWEEN", least, "AND", most] = words[..] else {
            panic!("not a condition on an index: {condition}")
        };
        let value = |name: &str| of(&body["ExpressionAttributeValues"], name);
        let (wanted, least, most) = (value(wanted), value(least), value(most));
        assert!(least <= most, "DynamoDB refuses BETWEEN with its bounds turned round: {least} {most}");
        let place = |item: &Value| (of(item, range), of(item, "pk"), of(item, "sk"));
        let with_summary = if range == "run_id" { Some("summary") } else { None };
        let shown = |item: &Map<String, Value>| {
            let names = ["pk", "sk", hash, range].into_iter().chain(with_summary);
            Value::Object(names.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect())
        };
        let text = |item: &Map<String, Value>, name: &str| {
            item.get(name).map_or("", |it| it["S"].as_str().unwrap()).to_owned()
        };
        let is_wanted = |item: &&Map<String, Value>| {
            text(item, hash) == wanted && (&least..=&most).contains(&&text(item, range))
        };
        let mut found: Vec<Value> = self.items.values().filter(is_wanted).map(shown).collect();
        found.sort_by_key(place);
        if body["ScanIndexForward"] == false {
            found.reverse();
        }
        if body["ExclusiveStartKey"].is_object() {
            let after = found.iter().position(|item| key(item) == key(&body["ExclusiveStartKey"]));
            found.drain(..=after.unwrap());
        }
        let limit = usize::try_from(body["Limit"].as_u64().unwrap_or(u64::MAX)).unwrap();
        // DynamoDB does not look whether there is more behind a full page.
        let is_cut = found.len() >= limit;
        found.truncate(limit);
        let mut answer = json!({ "Items": found, "Count": found.len() });
        if let Some(last) = found.last().filter(|_| is_cut) {
            let mut last = last.clone();
            last.as_object_mut().unwrap().remove("summary");
            answer["LastEvaluatedKey"] = last;
        }
        if body["ReturnConsumedCapacity"] == "TOTAL" {
            answer["ConsumedCapacity"] = json!({ "CapacityUnits": units(&found), "TableName": TABLE });
        }
        answer
    }
}

/// Read units of an eventually consistent query: names and values of all that it read, in halves of 4 KB (Developer
/// Guide, "Read consistency", "Item sizes and formats").
fn units(items: &[Value]) -> f64 {
    let bytes: usize = items.iter().map(size).sum();
    f64::from(u32::try_from(bytes.div_ceil(4 * 1024)).unwrap()) / 2.0
}

/// An item's size as `DynamoDB` counts it.
pub(super) fn size(item: &Value) -> usize {
    let text = |value: &Value| value["S"].as_str().or(value["N"].as_str()).map_or(0, str::len);
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + text(value)).sum()
}
