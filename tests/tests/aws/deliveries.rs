//! What is known of deliveries through the ports on AWS, against a server that speaks `DynamoDB`'s protocol, holds one
//! item and never deletes what has expired.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use pushway_aws::{Aws, Settings};
use pushway_core::ports::{Deliveries as _, DeliveryOutcome, ReadDeliveries as _, Recorded};
use pushway_core::source::Provider;
use pushway_tests::sim::story::hook;
use serde_json::{Value, json};

use crate::serve;

/// Longer than a delivery counts.
const LONG: SignedDuration = SignedDuration::from_hours(181 * 24);

#[tokio::test]
async fn f15_what_has_expired_counts_as_gone_though_the_table_still_has_it() {
    let (aws, now) = (aws().await, Timestamp::now());
    let delivery = "d1".parse().expect("an id");
    let record = async |rule, at| {
        aws.record_ignored(Provider::Github, &hook(), &delivery, rule, at).await.expect("it is written")
    };
    let seen =
        async || aws.delivery(&hook(), &delivery).await.expect("it is read").map(|known| known.outcome);

    assert_eq!(record("first", now - LONG).await, Recorded::New);
    let first = DeliveryOutcome::Ignored("first".to_owned());
    assert_eq!(
        record("again", now - LONG + SignedDuration::from_hours(1)).await,
        Recorded::Before(first),
        "it still counts then"
    );
    assert_eq!(seen().await, None, "what has expired is shown");
    assert_eq!(record("second", now).await, Recorded::New, "what has expired stands in the way");
    assert_eq!(seen().await, Some(DeliveryOutcome::Ignored("second".to_owned())));
}

async fn aws() -> Aws {
    let table = Arc::new(Mutex::new(Value::Null));
    let answer = move |headers: HeaderMap, body: Bytes| {
        let table = Arc::clone(&table);
        async move {
            let asked: Value = serde_json::from_slice(&body).expect("JSON");
            let operation = headers["x-amz-target"].to_str().expect("a name").rsplit('.').next();
            let mut item = table.lock().expect("it is there");
            reply(operation.unwrap_or_default(), &asked, &mut item)
        }
    };
    let config = serve(axum::Router::new().fallback(answer)).await;
    Aws::with_config(&config, Settings::for_table("table"))
}

fn reply(operation: &str, asked: &Value, item: &mut Value) -> (StatusCode, String) {
    match operation {
        "GetItem" if item.is_null() => (StatusCode::OK, json!({}).to_string()),
        "GetItem" => (StatusCode::OK, json!({ "Item": item }).to_string()),
        "PutItem" => {
            let condition = &asked["ConditionExpression"];
            assert_eq!(condition, "attribute_not_exists(pk) OR expires_at < :now");
            let number = |value: &Value| value["N"].as_str().and_then(|number| number.parse::<i64>().ok());
            let expires = number(&item["expires_at"]);
            if expires.is_some() && expires >= number(&asked["ExpressionAttributeValues"][":now"]) {
                let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                let refused =
                    json!({ "__type": code, "message": "The conditional request failed", "Item": item });
                return (StatusCode::BAD_REQUEST, refused.to_string());
            }
            *item = asked["Item"].clone();
            (StatusCode::OK, json!({}).to_string())
        }
        other => panic!("nobody asks {other}"),
    }
}
