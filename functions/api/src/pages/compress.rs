//! Pages and assets go compressed to whoever takes that: an HTTP API's gateway does not do it, and a page of 30 KB
//! that comes as 8 KB arrives in one round trip (the first window of a connection holds some 14 KB, RFC 6928).

use std::io::Write as _;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{self, HeaderValue};

/// Bytes from which on it is worth the while.
const LEAST: usize = 1_024;

/// The response as the one who asks takes it.
pub(crate) fn compressed(
    request: &ApiGatewayV2httpRequest,
    mut response: ApiGatewayV2httpResponse,
) -> ApiGatewayV2httpResponse {
    let Some(Body::Text(text)) = &response.body else { return response };
    response.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if text.len() < LEAST || !takes_gzip(request) {
        return response;
    }
    let Some(bytes) = gzip(text) else { return response };
    response.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    // Other bytes, same meaning: a weak tag (RFC 9110, section 8.8.3).
    let weak = response.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if let Some(weak) = weak.and_then(|tag| HeaderValue::try_from(format!("W/{tag}")).ok()) {
        response.headers.insert(header::ETAG, weak);
    }
    response.body = Some(Body::Binary(bytes));
    response.is_base64_encoded = true;
    response
}

/// Whether gzip is taken; one that is named with a weight of zero is not (RFC 9110, section 12.5.3).
fn takes_gzip(request: &ApiGatewayV2httpRequest) -> bool {
    let taken = request.headers.get(header::ACCEPT_ENCODING).and_then(|taken| taken.to_str().ok());
    taken.unwrap_or_default().split(',').any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn gzip(text: &str) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 3), Compression::new(6));
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok()
}
