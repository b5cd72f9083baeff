//! Checks of what was deployed, over HTTP, from inside the account: hence every address is judged first.
//!
//! No redirect is followed, no proxy is used, and the connection goes to the very addresses that were
//! judged, so that a name can't answer otherwise the second time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pushway_core::ports::{Probed, Probes};
use reqwest::{Client, redirect};
use url::{Host, Url};

use crate::Aws;
use crate::guard;
use pushway_forges::root;

/// The most that is read of a body.
const MAX_BODY_BYTES: usize = 64 * 1024;

impl Probes for Aws {
    async fn probe(&self, url: &Url, timeout: Duration) -> Probed {
        let probe = self.probe_once(url, timeout);
        match tokio::time::timeout(timeout, probe).await {
            Ok(Ok((status, body))) => Probed::Answer { status, body },
            Ok(Err(probed)) => probed,
            Err(_) => Probed::Nothing(format!("no answer within {} s", timeout.as_secs_f32())),
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl Aws {
    async fn probe_once(&self, url: &Url, timeout: Duration) -> Result<(u16, String), Probed> {
        let addresses = resolve(url).await?;
        for address in &addresses {
            guard::check(address.ip(), address.port(), &self.settings.allow_private)
                .map_err(Probed::Refused)?;
        }
        let broken = |error: reqwest::Error| Probed::Nothing(root(&error));
        let mut client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(timeout)
            .user_agent("pushway");
        if let Some(Host::Domain(domain)) = url.host() {
            client = client.resolve_to_addrs(domain, &addresses);
        }
        let client = client.build().map_err(broken)?;
        let mut answer = client.get(url.clone()).send().await.map_err(broken)?;
        let mut body = Vec::new();
        while body.len() < MAX_BODY_BYTES {
            let Some(chunk) = answer.chunk().await.map_err(broken)? else { break };
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_BODY_BYTES);
        Ok((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Where a URL leads: never empty.
async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Probed> {
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
    let found = tokio::net::lookup_host((domain, port)).await;
    let unknown =
        |error: &dyn std::fmt::Display| Probed::Nothing(format!("{domain} can't be found: {error}"));
    let addresses: Vec<SocketAddr> = found.map_err(|error| unknown(&error))?.collect();
    if addresses.is_empty() { Err(unknown(&"it has no address")) } else { Ok(addresses) }
}
