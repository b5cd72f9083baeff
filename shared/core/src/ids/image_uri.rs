//! Images as builds and their tools name them: by digest, or by a tag that is yet to be pinned to one.
//!
//! A tag never reaches a deploy: it is looked up once, right after the build that names it.

use std::fmt;
use std::str::FromStr;

use super::{Digest, ImageDigestRef, InvalidId};

/// An image as a build names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageUri {
    /// By digest.
    Fixed(ImageDigestRef),
    /// By a tag.
    Tagged(TaggedImage),
}

/// An image by its tag: `registry/repository:tag`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaggedImage {
    registry: String,
    repository: String,
    tag: String,
}

/// What the host name of an ECR registry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EcrHost<'h> {
    /// The account, 12 digits.
    pub account: &'h str,
    /// The region.
    pub region: &'h str,
}

/// The registry of names that begin with none, as Docker reads them.
const DOCKER_HUB: &str = "docker.io";
/// Domains of ECR's registries (Amazon ECR User Guide, "Amazon ECR private registries"; the others are those of
/// its dual-stack endpoints and of China).
const ECR_DOMAINS: [&str; 4] = ["amazonaws.com", "amazonaws.com.cn", "on.aws", "on.amazonwebservices.com.cn"];
const RULE: &str = "write registry/repository:tag or registry/repository@sha256:…";

impl TaggedImage {
    /// The registry's host, with its port where it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What the registry's name says if it is one of ECR.
    pub fn ecr_host(&self) -> Option<EcrHost<'_>> {
        let (account, rest) = self.registry.split_once('.')?;
        let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
            .into_iter()
            .find_map(|service| rest.strip_prefix(service))?;
        let (region, domain) = rest.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (is_account && ECR_DOMAINS.contains(&domain)).then_some(EcrHost { account, region })
    }

    /// The same image by digest.
    pub fn at(&self, digest: &Digest) -> Result<ImageDigestRef, InvalidId> {
        format!("{}/{}@{digest}", self.registry, self.repository).parse()
    }
}

impl FromStr for ImageUri {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new("image", text, RULE);
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is a port's.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if let Some(digest) = digest {
            // Registries go by the digest where both are there, so the tag says nothing.
            return format!("{name}@{digest}").parse().map(Self::Fixed).map_err(|_| invalid());
        }
        let (registry, repository) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => (DOCKER_HUB, name),
        };
        let tag = tag.unwrap_or("latest");
        if !is_host(registry) || !is_repository(repository) || !is_tag(tag) {
            return Err(invalid());
        }
        let [registry, repository, tag] = [registry, repository, tag].map(str::to_owned);
        Ok(Self::Tagged(TaggedImage { registry, repository, tag }))
    }
}

fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

/// As ECR names repositories (Amazon ECR API Reference, `CreateRepository`), which suits other registries too.
fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    text.len() <= 256 && text.split('/').all(is_part)
}

/// As the registries' protocol has it (OCI Distribution Specification, "Pulling manifests").
fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && !text.starts_with(['.', '-'])
}

impl fmt::Display for TaggedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl fmt::Debug for TaggedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(text: &str) -> TaggedImage {
        match text.parse() {
            Ok(ImageUri::Tagged(image)) => image,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, whole) in [
            ("localhost:4566/web:1", "localhost:4566/web:1"),
            ("127.0.0.1:4566/team/web", "127.0.0.1:4566/team/web:latest"),
            ("nginx", "docker.io/nginx:latest"),
            ("team/web:1.0-rc_1", "docker.io/team/web:1.0-rc_1"),
        ] {
            assert_eq!(tagged(text).to_string(), whole);
        }
        for bad in [
            "",
            ":1",
            "web:",
            "web:-x",
            "Web:1",
            "a//b",
            "web:1:2",
            "http://h.example/web:1",
            "<IMAGE1_NAME>",
            "w b",
        ] {
            assert!(bad.parse::<ImageUri>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_goes_before_a_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [format!("r.example/web@{digest}"), format!("r.example/web:1@{digest}")] {
            let fixed = format!("r.example/web@{digest}").parse().unwrap();
            assert_eq!(text.parse(), Ok(ImageUri::Fixed(fixed)));
        }
        assert!("r.example/web@sha256:abc".parse::<ImageUri>().is_err());
        let pinned = tagged("r.example/web:1").at(&digest.parse().unwrap()).unwrap();
        assert_eq!(pinned.to_string(), format!("r.example/web@{digest}"));
    }

    #[test]
    fn ecr_is_known_by_its_hosts_and_nothing_like_them_is() {
        let ecr = |host: &str| {
            let image = tagged(&format!("{host}/web:1"));
            image.ecr_host().map(|host| (host.account.to_owned(), host.region.to_owned()))
        };
        for host in [
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com",
            "111122223333.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "111122223333.dkr-ecr.eu-west-1.on.aws",
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn",
        ] {
            assert_eq!(ecr(host), Some(("111122223333".into(), "eu-west-1".into())), "{host}");
        }
        for host in [
            "111122223333.dkr.ecr.eu-west-1.example.com",
            "11112222333x.dkr.ecr.eu-west-1.amazonaws.com",
            "public.ecr.aws",
            "ghcr.io",
        ] {
            assert_eq!(ecr(host), None, "{host}");
        }
    }
}
