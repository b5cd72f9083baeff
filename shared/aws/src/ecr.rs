//! ECR: what a tag points to, in the registry of the installation's own account and region.
//!
//! Other registries are not asked: their answers would take credentials that the installation does not have.

use aws_config::{Region, SdkConfig};
use aws_sdk_ecr::types::ImageIdentifier;
use pushway_core::ids::TaggedImage;
use pushway_core::ports::{Answer, ReadImages, TagView};
use url::{Host, Url};

use crate::Aws;
use crate::errors::{code, fault, incomplete};

/// The account's own registry.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    client: aws_sdk_ecr::Client,
    region: Option<String>,
    /// Where an emulator serves its API, and so its registry: it names neither account nor region there.
    emulated: Option<Url>,
}

impl Registry {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self {
            client: aws_sdk_ecr::Client::new(config),
            region: config.region().map(Region::to_string),
            emulated: config.endpoint_url().and_then(|url| url.parse().ok()),
        }
    }

    /// Whose registry is asked for an image; none where it lies in another one.
    fn owner<'i>(&self, image: &'i TaggedImage) -> Option<Owner<'i>> {
        if let Some(host) = image.ecr_host() {
            let is_here = self.region.as_deref() == Some(host.region);
            return is_here.then_some(Owner::Account(host.account));
        }
        let served: Url = format!("http://{}", image.registry()).parse().ok()?;
        self.emulated.as_ref().filter(|emulated| is_same(emulated, &served)).map(|_| Owner::Emulator)
    }
}

/// Whose a registry of this region is.
#[derive(Debug, PartialEq, Eq)]
enum Owner<'i> {
    /// The account that its host names.
    Account(&'i str),
    /// The emulator's only one.
    Emulator,
}

/// Whether two addresses lead to one port of one machine, which has several names for itself.
fn is_same(one: &Url, other: &Url) -> bool {
    let is_loopback = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let ports = one.port_or_known_default() == other.port_or_known_default();
    ports && (one.host() == other.host() || is_loopback(one) && is_loopback(other))
}

impl ReadImages for Aws {
    async fn tag(&self, image: &TaggedImage) -> Answer<TagView> {
        let call = "ecr DescribeImages";
        let account = match self.registry.owner(image) {
            Some(Owner::Account(account)) => Some(account.to_owned()),
            Some(Owner::Emulator) => None,
            None => return Ok(TagView::Foreign),
        };
        let answer = self
            .registry
            .client
            .describe_images()
            .set_registry_id(account)
            .repository_name(image.repository())
            .image_ids(ImageIdentifier::builder().image_tag(image.tag()).build())
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return match code(&error) {
                    Some("ImageNotFoundException" | "RepositoryNotFoundException") => Ok(TagView::Absent),
                    _ => Err(fault(call, &error)),
                };
            }
        };
        let Some(found) = answer.image_details().first() else { return Ok(TagView::Absent) };
        let digest = found.image_digest().and_then(|digest| digest.parse().ok());
        digest.map(TagView::Digest).ok_or_else(|| incomplete(call, "imageDigest"))
    }
}

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;
    use pushway_core::ids::ImageUri;

    use super::*;

    fn owner(registry: &Registry, host: &str) -> String {
        let Ok(ImageUri::Tagged(image)) = format!("{host}/web:1").parse() else { panic!("{host}") };
        registry.owner(&image).map(|owner| format!("{owner:?}")).unwrap_or_default()
    }

    #[test]
    fn only_the_own_registry_is_asked() {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .build();
        let aws = Registry::new(&config);
        let (own, elsewhere) =
            ("111122223333.dkr.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.us-east-1.amazonaws.com");
        assert_eq!(owner(&aws, own), r#"Account("111122223333")"#);
        for foreign in [elsewhere, "docker.io", "127.0.0.1:4566", "ghcr.io"] {
            assert_eq!(owner(&aws, foreign), "", "{foreign}");
        }
        let config = config.to_builder().endpoint_url("http://127.0.0.1:4566").build();
        let emulated = Registry::new(&config);
        for own in ["127.0.0.1:4566", "localhost:4566", "[::1]:4566"] {
            assert_eq!(owner(&emulated, own), "Emulator", "{own}");
        }
        for foreign in ["127.0.0.1:5000", "localhost", "r.example:4566"] {
            assert_eq!(owner(&emulated, foreign), "", "{foreign}");
        }
    }
}
