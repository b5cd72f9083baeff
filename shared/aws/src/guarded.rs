//! The client that checks ask with: it goes to addresses that were judged, and reads no more than it must.
//!
//! A URL in a pipeline file, and whatever answers there, are written by strangers (rows A26, A28). So each
//! hop of a redirect is resolved and judged anew, and the connection goes to the very addresses that were
//! judged: a name can't answer otherwise the second time. Head, body, redirects and time are bounded, and
//! nothing is decompressed. No proxy is used, for a proxy would resolve names by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use pushway_core::ports::{ProbeAnswer, ProbeRequest, Probed};
use pushway_forges::root;
use reqwest::{Client, Response, header, redirect};
use url::{Host, Url};

use crate::guard;

/// The most that is read of a body.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// The most headers that are shown to a check. The HTTP client itself gives up at 100 of them.
const MAX_HEADERS: usize = 100;
/// The most that is shown of one header, in characters.
const MAX_HEADER_CHARS: usize = 1024;
/// How many redirects are followed, where any are.
const MAX_REDIRECTS: usize = 3;

/// Finds the addresses of a name.
pub(crate) trait Resolve: Sync {
    /// All of them, whatever aliases lead there.
    fn resolve(
        &self,
        domain: &str,
        port: u16,
    ) -> impl Future<Output = std::io::Result<Vec<SocketAddr>>> + Send;
}

/// The operating system's resolver.
pub(crate) struct System;

impl Resolve for System {
    async fn resolve(&self, domain: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((domain, port)).await?.collect())
    }
}

/// Asks once, redirects included, within the request's time.
pub(crate) async fn ask(resolver: &impl Resolve, allowed: &[IpNet], request: &ProbeRequest) -> Probed {
    match tokio::time::timeout(request.timeout, hops(resolver, allowed, request)).await {
        Ok(Ok(answer)) => Probed::Answer(answer),
        Ok(Err(probed)) => probed,
        Err(_) => Probed::Nothing(format!("no whole answer within {} s", request.timeout.as_secs_f32())),
    }
}

async fn hops(
    resolver: &impl Resolve,
    allowed: &[IpNet],
    request: &ProbeRequest,
) -> Result<ProbeAnswer, Probed> {
    let begun = Instant::now();
    let mut url = request.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let addresses = judged(resolver, allowed, &url).await?;
        let response = get(&url, &addresses, request.timeout).await?;
        match next(&url, &response)?.filter(|_| request.follows) {
            Some(next) => url = next,
            None => return read(response, begun).await,
        }
    }
    Err(Probed::Nothing(format!("more than {MAX_REDIRECTS} redirects, the last one to {url}")))
}

/// Where a URL leads, if a check may go there: never empty.
async fn judged(resolver: &impl Resolve, allowed: &[IpNet], url: &Url) -> Result<Vec<SocketAddr>, Probed> {
    let addresses = resolve(resolver, url).await?;
    // One address inside is enough: which of them is connected to would be left to chance.
    for address in &addresses {
        guard::check(address.ip(), address.port(), allowed)
            .map_err(|why| Probed::Refused(format!("{}: {why}", url.host_str().unwrap_or_default())))?;
    }
    Ok(addresses)
}

async fn resolve(resolver: &impl Resolve, url: &Url) -> Result<Vec<SocketAddr>, Probed> {
    let refused = |why: &str| Probed::Refused(format!("{}: {why}", url.scheme()));
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("only http and https are probed"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a URL with a user name or password is not probed"));
    }
    let port = url.port_or_known_default().ok_or_else(|| refused("the URL has no port"))?;
    let literal = |address: IpAddr| Ok(vec![SocketAddr::new(address, port)]);
    let domain = match url.host() {
        Some(Host::Ipv4(address)) => return literal(address.into()),
        Some(Host::Ipv6(address)) => return literal(address.into()),
        Some(Host::Domain(domain)) => domain,
        None => return Err(refused("the URL has no host")),
    };
    let found = resolver.resolve(domain, port).await;
    let unknown =
        |error: &dyn std::fmt::Display| Probed::Nothing(format!("{domain} can't be found: {error}"));
    let addresses = found.map_err(|error| unknown(&error))?;
    if addresses.is_empty() { Err(unknown(&"it has no address")) } else { Ok(addresses) }
}

async fn get(url: &Url, addresses: &[SocketAddr], timeout: Duration) -> Result<Response, Probed> {
    let mut client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .http1_only()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .pool_max_idle_per_host(0)
        .referer(false)
        .timeout(timeout)
        .user_agent("pushway");
    if let Some(Host::Domain(domain)) = url.host() {
        client = client.resolve_to_addrs(domain, addresses);
    }
    client
        .build()
        .map_err(|error| broken(&error))?
        .get(url.clone())
        .send()
        .await
        .map_err(|error| broken(&error))
}

fn broken(error: &reqwest::Error) -> Probed {
    // What a server says of itself in a broken answer must not reach a log or a terminal as it came.
    Probed::Nothing(root(error).escape_debug().take(MAX_HEADER_CHARS).collect())
}

/// Where a redirect leads; `None` for any other answer.
fn next(url: &Url, response: &Response) -> Result<Option<Url>, Probed> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(header::LOCATION) else { return Ok(None) };
    let text = String::from_utf8_lossy(location.as_bytes());
    let bad = |error| {
        let text: String = text.escape_debug().take(200).collect();
        Probed::Refused(format!("the redirect to \"{text}\" leads nowhere: {error}"))
    };
    url.join(&text).map(Some).map_err(bad)
}

async fn read(mut response: Response, begun: Instant) -> Result<ProbeAnswer, Probed> {
    let mut body = Vec::new();
    let mut is_whole = false;
    while body.len() <= MAX_BODY_BYTES {
        let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? else {
            is_whole = true;
            break;
        };
        body.extend_from_slice(&chunk);
    }
    is_whole &= body.len() <= MAX_BODY_BYTES;
    body.truncate(MAX_BODY_BYTES);
    let header = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.chars().take(MAX_HEADER_CHARS).collect())
    };
    Ok(ProbeAnswer {
        status: response.status().as_u16(),
        headers: response.headers().iter().take(MAX_HEADERS).map(header).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        is_whole,
        took: begun.elapsed(),
    })
}

#[cfg(test)]
mod tests;
