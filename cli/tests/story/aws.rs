//! As much of DynamoDB and Secrets Manager as the command line's verbs use, in their JSON protocols.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::{Said, pushway, run, serve};

/// A secret's versions, the current one last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) versions: Vec<String>,
    pub(crate) is_dropped: bool,
}

#[derive(Default)]
pub(crate) struct Content {
    /// By partition key; the sort keys of all that is used here are the same.
    pub(crate) items: BTreeMap<String, Value>,
    pub(crate) secrets: BTreeMap<String, Stored>,
}

#[derive(Clone)]
pub(crate) struct Aws {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
}

impl Aws {
    pub(crate) async fn start() -> Self {
        let content = Arc::<Mutex<Content>>::default();
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&content));
        Self { address: serve(router).await, content }
    }

    /// Runs the binary as a person with access to this account.
    pub(crate) async fn pushway(&self, words: &[&str], input: &str) -> Said {
        let mut command = pushway(words);
        let endpoint = format!("http://{}", self.address);
        command.args(["--table", "table"]);
        run(with_environment(&command, &[("AWS_ENDPOINT_URL", &endpoint)]), input).await
    }

    /// Puts a record into the table that no verb has made.
    pub(crate) fn keep(&self, pk: &str) {
        self.content.lock().unwrap().items.insert(pk.to_owned(), Value::Null);
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&Content) -> T) -> T {
        at(&self.content.lock().unwrap())
    }

    /// The record under a partition key.
    pub(crate) fn record(&self, pk: &str) -> Option<Value> {
        let data = |content: &Content| Some(content.items.get(pk)?["data"]["S"].as_str()?.to_owned());
        self.look(data).map(|data| serde_json::from_str(&data).unwrap())
    }
}

/// The command behind `env`, which sets variables where the test clears its own.
pub(crate) fn with_environment(command: &Command, more: &[(&str, &str)]) -> Command {
    let mut wrapped = Command::new("env");
    let keys =
        [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "key"), ("AWS_REGION", "eu-west-1")];
    for (name, value) in keys.iter().chain(more) {
        wrapped.arg(format!("{name}={value}"));
    }
    wrapped.arg(command.get_program()).args(command.get_args());
    wrapped
}

async fn answer(State(content): State<Arc<Mutex<Content>>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let target = headers["x-amz-target"].to_str().unwrap();
    let verb = target.split_once('.').unwrap().1;
    let mut content = content.lock().unwrap();
    let answer = match verb {
        "GetItem" | "PutItem" | "DeleteItem" => table(&mut content, verb, &body),
        _ => secret(&mut content, verb, &body),
    };
    match answer {
        Ok(value) => Json(value).into_response(),
        Err(code) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "__type": code, "message": code }))).into_response()
        }
    }
}

fn table(content: &mut Content, verb: &str, body: &Value) -> Result<Value, &'static str> {
    let of = |item: &Value| item["pk"]["S"].as_str().unwrap().to_owned();
    Ok(match verb {
        "GetItem" => match content.items.get(&of(&body["Key"])) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        },
        "DeleteItem" => {
            content.items.remove(&of(&body["Key"]));
            json!({})
        }
        _ => {
            let (pk, item) = (of(&body["Item"]), body["Item"].clone());
            let must_be_new = body["ConditionExpression"] == "attribute_not_exists(pk)";
            if must_be_new && content.items.contains_key(&pk) {
                return Err("ConditionalCheckFailedException");
            }
            content.items.insert(pk, item);
            json!({})
        }
    })
}

fn secret(content: &mut Content, verb: &str, body: &Value) -> Result<Value, &'static str> {
    let name = body["Name"].as_str().or(body["SecretId"].as_str()).unwrap().to_owned();
    let text = || body["SecretString"].as_str().unwrap().to_owned();
    let known = content.secrets.get(&name);
    if verb == "CreateSecret" {
        return match known {
            Some(known) if known.is_dropped => Err("InvalidRequestException"),
            Some(_) => Err("ResourceExistsException"),
            None => {
                content.secrets.insert(name, Stored { versions: vec![text()], is_dropped: false });
                Ok(json!({}))
            }
        };
    }
    let known = content.secrets.get_mut(&name).ok_or("ResourceNotFoundException")?;
    match verb {
        "GetSecretValue" => Ok(json!({ "SecretString": known.versions.last() })),
        "DescribeSecret" if known.is_dropped => Ok(json!({ "DeletedDate": 1_800_000_000 })),
        "DescribeSecret" => Ok(json!({})),
        "PutSecretValue" if !known.is_dropped => {
            known.versions.push(text());
            Ok(json!({}))
        }
        "DeleteSecret" => {
            known.is_dropped = true;
            Ok(json!({}))
        }
        "RestoreSecret" => {
            known.is_dropped = false;
            Ok(json!({}))
        }
        _ => Err("InvalidRequestException"),
    }
}
