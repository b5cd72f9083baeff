//! Lambda's side of the Runtime API (Lambda Developer Guide, "Using the Lambda runtime API"), and the
//! function's processes as execution environments.
//!
//! Each environment asks for one invocation at a time; what comes while all are busy waits its turn. An
//! answer is whatever the function posts; an error that it posts ends the measurement.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::{Path as InPath, State};
use axum::http::{HeaderName, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

/// Longer than the function's own timeout; only a dead function takes so long.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// What the function answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u64,
    /// The body, which is JSON.
    pub(crate) body: Value,
    /// How long the function had it.
    pub(crate) handled: Duration,
}

/// One invocation on its way to an environment.
struct Invocation {
    id: String,
    payload: String,
    answer: oneshot::Sender<(Result<String, String>, Duration)>,
}

type Waiting = oneshot::Sender<Invocation>;

/// What all environments share.
struct Api {
    idle: mpsc::UnboundedSender<Waiting>,
    open: Mutex<HashMap<String, (Instant, Invocation)>>,
}

/// The execution environments.
pub(crate) struct Runtime {
    idle: AsyncMutex<mpsc::UnboundedReceiver<Waiting>>,
    next: std::sync::atomic::AtomicU64,
    /// Killed with it.
    _environments: Vec<Child>,
}

impl Runtime {
    /// Starts `count` processes of `function`.
    pub(crate) async fn start(
        count: u32,
        function: &Path,
        variables: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let (sender, idle) = mpsc::unbounded_channel();
        let api = Arc::new(Api { idle: sender, open: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("open a port for the Runtime API")?;
        let address = listener.local_addr()?.to_string();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut environments = Vec::new();
        for _ in 0..count {
            let mut command = Command::new(function);
            command.env_clear().envs(variables.iter().cloned()).env("AWS_LAMBDA_RUNTIME_API", &address);
            // Its log is one line for each run; what goes wrong is answered, too.
            command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
            environments.push(command.spawn().with_context(|| format!("start {}", function.display()))?);
        }
        Ok(Self {
            idle: AsyncMutex::new(idle),
            next: std::sync::atomic::AtomicU64::new(0),
            _environments: environments,
        })
    }

    /// Hands an event to the environment that has been idle for longest, or to the next that will be.
    pub(crate) async fn invoke(&self, payload: String) -> anyhow::Result<Answer> {
        let answered = tokio::time::timeout(LONGEST_ANSWER, self.hand_over(payload)).await;
        let (answer, handled) = answered.context("the function did not answer")??;
        let text = match answer {
            Ok(text) => text,
            Err(error) => bail!("the function failed: {error}"),
        };
        let answer: Value = serde_json::from_str(&text).context("read the function's answer")?;
        let body = answer["body"].as_str().unwrap_or_default();
        Ok(Answer {
            status: answer["statusCode"].as_u64().unwrap_or_default(),
            body: serde_json::from_str(body).with_context(|| format!("read the answered body {body:?}"))?,
            handled,
        })
    }

    async fn hand_over(&self, payload: String) -> anyhow::Result<(Result<String, String>, Duration)> {
        let (answer, answered) = oneshot::channel();
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut invocation = Invocation { id: number.to_string(), payload, answer };
        loop {
            let waiting = self.idle.lock().await.recv().await.context("the Runtime API has ended")?;
            match waiting.send(invocation) {
                Ok(()) => break,
                // That environment is gone; another one takes it.
                Err(unsent) => invocation = unsent,
            }
        }
        answered.await.context("the function took an event and never answered")
    }
}

impl Api {
    fn answer(&self, id: &str, answer: Result<String, String>) -> StatusCode {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        let Some((since, invocation)) = open else { return StatusCode::BAD_REQUEST };
        let _given_up = invocation.answer.send((answer, since.elapsed()));
        StatusCode::ACCEPTED
    }
}

async fn next(
    State(api): State<Arc<Api>>,
) -> Result<([(HeaderName, String); 3], String), (StatusCode, &'static str)> {
    let (waiting, handed) = oneshot::channel();
    let over = (StatusCode::GONE, "the measurement is over");
    api.idle.send(waiting).map_err(|_| over)?;
    let mut invocation = handed.await.map_err(|_| over)?;
    let deadline = jiff::Timestamp::now().as_millisecond() + 10_000;
    let headers = [
        (HeaderName::from_static("lambda-runtime-aws-request-id"), invocation.id.clone()),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), deadline.to_string()),
        (
            HeaderName::from_static("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:us-east-1:000000000000:function:webhook".to_owned(),
        ),
    ];
    let payload = std::mem::take(&mut invocation.payload);
    let mut open = api.open.lock().unwrap_or_else(PoisonError::into_inner);
    open.insert(invocation.id.clone(), (Instant::now(), invocation));
    Ok((headers, payload))
}

async fn response(State(api): State<Arc<Api>>, InPath(id): InPath<String>, body: String) -> StatusCode {
    api.answer(&id, Ok(body))
}

async fn error(State(api): State<Arc<Api>>, InPath(id): InPath<String>, body: String) -> StatusCode {
    api.answer(&id, Err(body))
}
