//! API tokens and the audit list: administrators' business.

use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pushway_core::access::{Revoked, Scopes, TOKEN_DAYS, Token, TokenRecord};
use pushway_core::api::{AuditPage, TokenMade, TokenOrder, TokenView, TokensView};
use pushway_core::ids::{RunId, TokenName};
use pushway_core::ports::{AuditTrail, Clock, Random, SealingKey, Tokens, Written};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::Call;
use crate::lists::{next, position};
use crate::reply::{Problem, Reply};
use crate::sign_in::random;

/// Entries of the audit list on a page.
const PAGE: usize = 100;

/// Which part of the audit list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditFrom {
    /// A day (UTC); today without it.
    day: Option<Date>,
    /// `next` of the page before, of the same day; the newest entries without it.
    cursor: Option<String>,
}

/// `GET /v1/tokens`.
pub(crate) async fn list<P: Tokens>(ports: &P) -> Result<TokensView, Problem> {
    Ok(TokensView { tokens: ports.tokens().await?.into_iter().map(TokenView::from).collect() })
}

/// `POST /v1/tokens`.
pub(crate) async fn make<P: Tokens + Clock + Random>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem> {
    let TokenOrder { name, scopes, days } = call.order()?;
    let scopes: Scopes = scopes.into_iter().collect();
    if scopes.is_empty() {
        return Err(Problem::BadRequest("name at least one scope: read, run, approve or admin".into()));
    }
    if !TOKEN_DAYS.contains(&days) {
        let (least, most) = TOKEN_DAYS.into_inner();
        return Err(Problem::BadRequest(format!("a token lives {least} to {most} days, not {days}")));
    }
    let token = Token::new(name, random(ports));
    let record = TokenRecord::new(&token, scopes, call.by(), ports.now(), days);
    match ports.put_token(&record).await? {
        Written::Stored => {
            let made = TokenMade { token: token.expose(), view: record.into() };
            Reply::with(StatusCode::CREATED, &made)
        }
        Written::Conflict => Err(Problem::Conflict(format!(
            "there is or was a token named {}; names are not used again, so that the audit list stays clear",
            token.name
        ))),
    }
}

/// `POST /v1/tokens/{token}/revoke`. A token that was revoked before stays so.
pub(crate) async fn revoke<P: Tokens + Clock>(ports: &P, call: &Call<'_>) -> Result<TokenView, Problem> {
    let text = call.text("token");
    let absent = || Problem::NotFound(format!("there is no token {text:?}; GET /v1/tokens lists them"));
    let name: TokenName = text.parse().map_err(|_| absent())?;
    loop {
        let record = ports.token(&name).await?.ok_or_else(absent)?;
        if record.revoked.is_some() {
            return Ok(record.into());
        }
        let revoked = Some(Revoked { by: call.by(), at: ports.now() });
        let record = TokenRecord { version: record.version + 1, revoked, ..record };
        if ports.put_token(&record).await? == Written::Stored {
            return Ok(record.into());
        }
    }
}

/// `GET /v1/audit`.
pub(crate) async fn audit<P>(ports: &P, call: &Call<'_>) -> Result<AuditPage, Problem>
where
    P: AuditTrail + SealingKey + Clock,
{
    let AuditFrom { day, cursor } = call.query()?;
    let list = ("audit", day);
    let place: Option<(Date, RunId)> = position(ports, &list, cursor.as_deref()).await?;
    // Who goes on after midnight goes on with the day that they began with.
    let today = || ports.now().to_zoned(TimeZone::UTC).date();
    let day = place.map(|(day, _)| day).or(day).unwrap_or_else(today);
    let entries = ports.noted(day, place.map(|(_, before)| before), PAGE).await?;
    let last = entries.last().map(|entry| (day, entry.id)).filter(|_| entries.len() == PAGE);
    Ok(AuditPage { entries, next: next(ports, &list, last.as_ref()).await? })
}
