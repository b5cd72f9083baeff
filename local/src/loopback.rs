//! An HTTP client that stays on this machine.
//!
//! Names below `localhost` are loopback by RFC 6761 section 6.3, and the emulator tells its HTTP APIs apart
//! by them, but the resolver of a plain Debian does not know that; and no other name may be looked up here.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A client that finds `<anything>.localhost`, refuses every other name, and uses no proxy.
pub fn client() -> anyhow::Result<reqwest::Client> {
    builder().build().context("build the http client")
}

pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(Loopback))
}

/// Whether a request to `url` stays on this machine.
pub(crate) fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => is_local_name(name),
        None => false,
    }
}

fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, name: Name) -> Resolving {
        let address = if is_local_name(name.as_str()) {
            let here: Addrs = Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0))));
            Ok(here)
        } else {
            Err(format!("{} is not a name of this machine", name.as_str()).into())
        };
        Box::pin(std::future::ready(address))
    }
}
