//! Orders: each is noted in the audit list before it is carried out, and under an idempotency key it is carried out
//! once.

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;
use pushway_core::audit::AuditEntry;
use pushway_core::fact::bounded;
use pushway_core::ids::RunId;
use pushway_core::order::{Begun, KeptReply, Order};
use pushway_core::ports::{AuditTrail, Clock, Orders, Random};
use serde_json::Value;

use crate::call::Call;
use crate::reply::{JSON, PROBLEM, Problem, Reply, comment};

/// Characters of an order that the audit list keeps.
const MAX_ASKED: usize = 2_000;
/// Says that a reply is that of an earlier request with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Carries out an order by `act`, at most once under its key.
pub(crate) async fn carry_out<P>(
    ports: &P,
    call: &Call<'_>,
    act: impl Future<Output = Result<Reply, Problem>>,
) -> Result<Reply, Problem>
where
    P: AuditTrail + Orders + Clock + Random,
{
    let now = ports.now();
    let key = call.idempotency_key()?.filter(|_| !call.operation.gives_secret);
    let order = key.map(|key| {
        let request = [Method::POST.as_str().as_bytes(), call.path.as_bytes(), &call.body];
        Order::new(&call.principal.name, key, &request, now)
    });
    if let Some(order) = &order {
        match ports.begin_order(order).await? {
            Begun::Ours => {}
            Begun::Answered(kept) => return Ok(again(kept)),
            Begun::AtWork => return Err(Problem::AtWork),
            Begun::Different => return Err(Problem::OtherRequest),
        }
    }
    let reply = noted(ports, call, now, act).await;
    if let Some(order) = order {
        // What could not be carried out may be tried again under the same key.
        let kept = (reply.status.as_u16() < 500)
            .then(|| KeptReply { status: reply.status.as_u16(), body: reply.body.clone() });
        if let Err(fault) = ports.end_order(&Order { reply: kept, ..order }).await {
            tracing::warn!(error = %fault, "the reply to an idempotency key was not kept");
        }
    }
    Ok(reply)
}

/// Carries out an order between two notes in the audit list. Without the first it is not carried out.
async fn noted<P>(
    ports: &P,
    call: &Call<'_>,
    now: Timestamp,
    act: impl Future<Output = Result<Reply, Problem>>,
) -> Reply
where
    P: AuditTrail + Random,
{
    let mut entry = entry(call, RunId::new(now, ports.bytes()), now);
    if let Err(fault) = ports.note(&entry).await {
        return Problem::Fault(fault).into();
    }
    let reply = act.await.unwrap_or_else(Reply::from);
    entry.status = Some(reply.status.as_u16());
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    entry.run = answer["run_id"].as_str().and_then(|run| run.parse().ok());
    tracing::info!(
        by = entry.by,
        operation = entry.operation,
        path = entry.path,
        status = entry.status,
        "order"
    );
    if let Err(fault) = ports.note(&entry).await {
        tracing::warn!(error = %fault, "the end of an order was not noted");
    }
    reply
}

fn entry(call: &Call<'_>, id: RunId, now: Timestamp) -> AuditEntry {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let reason = body.get("reason").or_else(|| body.get("comment")).and_then(Value::as_str);
    let context = &call.request.request_context;
    AuditEntry {
        id,
        at: now,
        by: call.by(),
        operation: call.operation.id.to_owned(),
        path: call.path.to_owned(),
        from: context.http.source_ip.clone(),
        request_id: context.request_id.clone(),
        reason: comment(reason.map(str::to_owned)),
        // No order holds a secret; whoever adds one keeps it out of here.
        asked: (!body.is_null()).then(|| bounded(&body.to_string(), MAX_ASKED)),
        run: None,
        status: None,
    }
}

/// A reply that was given before.
fn again(kept: KeptReply) -> Reply {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() { JSON } else { PROBLEM };
    Reply::of(status, kind, kept.body).and(REPLAYED, HeaderValue::from_static("true"))
}
