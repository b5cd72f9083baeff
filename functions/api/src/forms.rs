//! Forms of the dashboard's pages: signing in with a token, signing out, and the acts that pages offer.
//!
//! A form's address is that of an operation of the API without `/v1`, and its fields are those of the operation's body:
//! it is carried out as if the API had been asked, audit list and all, by the holder of the session's token.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use pushway_core::access::{Principal, Refused};
use pushway_core::api::ProblemDocument;
use pushway_core::delivery::made_id;
use pushway_core::ports::{Clock, Sessions, Tokens};
use pushway_dashboard::links;
use serde_json::{Map, Value};

use crate::call;
use crate::operations;
use crate::principal::{self, holder};
use crate::reply::{Problem, Reply};
use crate::session;
use crate::sign_in;

/// Fields of a form that are no part of the order.
const PROOF: &str = "csrf";
const ONCE: &str = "once";
/// The one field that is a box to tick.
const BOX: &str = "accept_irreversible";
/// Where the API's operations lie.
const API: &str = "/v1";

/// What a form asks for.
pub(crate) enum Asked {
    /// This is to be answered.
    Answered(Reply),
    /// The API is to be asked this, by the holder of the session's token.
    Order(Box<ApiGatewayV2httpRequest>, Principal),
    /// It is refused, for this reason.
    Refused(Problem),
}

/// What a form asks for; `None` where the request is none of a page's.
pub(crate) async fn asked<P: Tokens + Sessions + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
) -> Option<Asked> {
    if request.request_context.http.method != Method::POST {
        return None;
    }
    let (path, _) = principal::path(request);
    match path {
        "/sign-in" => Some(by_token(ports, request).await.unwrap_or_else(Asked::Refused)),
        "/sign-out" => Some(sign_out(ports, request).await.unwrap_or_else(Asked::Refused)),
        _ => {
            let operation = format!("{API}{path}");
            let (known, _) = operations::at(&operation)?;
            known.iter().find(|operation| operation.method == Method::POST)?;
            Some(order(ports, request, operation).await.unwrap_or_else(Asked::Refused))
        }
    }
}

/// Where one goes after an order was carried out: to the run that it has made, or back to what it was about.
pub(crate) fn afterwards(path: &str, reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (body["run_id"].as_str(), parts.as_slice()) {
        (Some(run), _) => format!("/runs/{run}"),
        (None, ["runs", run, ..]) => format!("/runs/{run}"),
        (None, ["environments", pipeline, name, ..]) => format!("/environments/{pipeline}/{name}"),
        _ => "/".to_owned(),
    }
}

/// Where who signs in by a form wants to go.
pub(crate) fn next(request: &ApiGatewayV2httpRequest) -> String {
    fields(request).map(|mut fields| take(&mut fields, "next")).unwrap_or_default()
}

/// A problem document of the API as the problem that it tells of.
pub(crate) fn problem(reply: &Reply) -> (StatusCode, String) {
    let told: Option<ProblemDocument> = serde_json::from_str(&reply.body).ok();
    (reply.status, told.map_or_else(|| "it could not be done; try again".to_owned(), |told| told.detail))
}

/// An answer that leads elsewhere.
pub(crate) fn go_to(place: &str) -> Reply {
    let reply = Reply::of(StatusCode::SEE_OTHER, "text/html; charset=utf-8", String::new());
    match HeaderValue::try_from(links::local(place)) {
        Ok(place) => reply.and(header::LOCATION, place),
        Err(_) => reply.and(header::LOCATION, HeaderValue::from_static("/")),
    }
}

async fn by_token<P: Tokens + Clock>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Asked, Problem> {
    let mut fields = fields(request)?;
    let token = take(&mut fields, "token");
    let token = token.trim();
    holder(ports, token).await?;
    let cookie = session::begin(token).ok_or(Refused::Unknown)?;
    Ok(Asked::Answered(go_to(&take(&mut fields, "next")).and(header::SET_COOKIE, cookie)))
}

async fn sign_out<P: Sessions>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Asked, Problem> {
    let (cookie, _) = proven(request)?;
    sign_in::end(ports, &cookie).await?;
    Ok(Asked::Answered(go_to("/sign-in").and(header::SET_COOKIE, session::end())))
}

/// The request of the API that a form stands for.
async fn order<P: Tokens + Sessions + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    operation: String,
) -> Result<Asked, Problem> {
    let (token, mut fields) = proven(request)?;
    let holder = session::holder(ports, &token).await?;
    let once = take(&mut fields, ONCE);
    let body: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| {
            let value = if name == BOX { Value::Bool(text == "true") } else { Value::String(text) };
            (name, value)
        })
        .collect();
    let body = Value::Object(body).to_string();
    let mut order = request.clone();
    order.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A second click on the same page is the same order: same act, same words, same rendering.
    let key = HeaderValue::try_from(made_id("page", &[&operation, &once, &body]));
    if let Ok(key) = key
        && !once.is_empty()
    {
        order.headers.insert("idempotency-key", key);
    }
    order.body = Some(body);
    order.is_base64_encoded = false;
    order.raw_path = Some(operation);
    order.raw_query_string = None;
    Ok(Asked::Order(Box::new(order), holder))
}

type Fields = Vec<(String, String)>;

/// The session's token and the fields of a form that was made for it.
fn proven(request: &ApiGatewayV2httpRequest) -> Result<(String, Fields), Problem> {
    let token = session::token(request).ok_or(Problem::Unauthorized(principal::SIGN_IN))?;
    let mut fields = fields(request)?;
    if !session::is_proof(token, &take(&mut fields, PROOF)) {
        return Err(Problem::OtherSite);
    }
    Ok((token.to_owned(), fields))
}

/// The fields of a form that comes from a page of this site.
fn fields(request: &ApiGatewayV2httpRequest) -> Result<Fields, Problem> {
    if !session::is_own(request) {
        return Err(Problem::OtherSite);
    }
    serde_html_form::from_bytes(&call::body(request)?)
        .map_err(|error| Problem::BadRequest(format!("the form can't be read: {error}")))
}

/// Takes a field out; an absent one is empty.
fn take(fields: &mut Fields, name: &str) -> String {
    let at = fields.iter().position(|(known, _)| known == name);
    at.map(|at| fields.swap_remove(at).1).unwrap_or_default()
}
