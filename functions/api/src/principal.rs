//! Who asks. Requests under `/iam` were signed with AWS credentials, and the gateway has checked them; all others
//! bring a token: one of ours, or an access token of the issuer that the installation is set to.
//!
//! Each request is looked at by itself: no answer of an authorizer is kept that could serve another route (row A32).

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use http::header;
use pushway_core::access::{Principal, Refused, Token};
use pushway_core::jwt::{Use, is_jwt};
use pushway_core::ports::{Clock, Issuer, Tokens};

use crate::reply::Problem;
use crate::sign_in;

/// What the paths of signed requests begin with.
const SIGNED: &str = "/iam";
pub(crate) const SIGN_IN: &str = "say who you are: send `Authorization: Bearer <token>`, or sign the request with AWS credentials \
                       and send it to the same path under /iam";

/// The path that is meant, and whether the gateway has checked a signature.
pub(crate) fn path(request: &ApiGatewayV2httpRequest) -> (&str, bool) {
    let path = request.raw_path.as_deref().unwrap_or_default();
    match path.strip_prefix(SIGNED) {
        Some(rest) if rest.starts_with('/') => (rest, true),
        _ => (path, false),
    }
}

/// Who asks, by a signature that the gateway has checked, or by a token.
pub(crate) async fn principal<P: Tokens + Issuer + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
) -> Result<Principal, Problem> {
    if path(request).1 {
        let authorizer = request.request_context.authorizer.as_ref();
        let arn = authorizer.and_then(|authorizer| authorizer.iam.as_ref()?.user_arn.clone());
        return arn.map(Principal::of_account).ok_or(Problem::Unauthorized(SIGN_IN));
    }
    let Some(header) = request.headers.get(header::AUTHORIZATION) else {
        return Err(Problem::Unauthorized(SIGN_IN));
    };
    // The scheme's name has no case (RFC 9110, section 11.1).
    let bearer = header.to_str().ok().and_then(|text| text.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, text)) = bearer else { return Err(Problem::Unauthorized(SIGN_IN)) };
    let text = text.trim();
    match ports.issuer().filter(|_| is_jwt(text)) {
        Some(settings) => sign_in::person(ports, settings, text, Use::Access).await,
        None => holder(ports, text).await,
    }
}

/// Who holds a token of ours.
pub(crate) async fn holder<P: Tokens + Clock>(ports: &P, text: &str) -> Result<Principal, Problem> {
    let token: Token = text.parse().map_err(|_| Refused::Unknown)?;
    let record = ports.token(&token.name).await?.ok_or(Refused::Unknown)?;
    Ok(record.check(&token, ports.now())?)
}
