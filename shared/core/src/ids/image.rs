//! Images, which travel by digest only: a tag can move between test and deploy.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Digest, InvalidId, is_token};

/// An image by digest: `registry/name@sha256:…`, the only form in which an image reaches a deploy.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ImageDigestRef {
    repository: String,
    digest: Digest,
}

impl ImageDigestRef {
    /// The digest alone.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl FromStr for ImageDigestRef {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str =
            "give the image by digest: repository@sha256:… (a tag can move between test and deploy)";
        let invalid = || InvalidId::new("image", text, RULE);
        let (repository, digest) = text.split_once('@').ok_or_else(invalid)?;
        // The repository may carry a port and a path, and a port stands before a slash; a tag before the digest would
        // be ignored by every registry, so it is refused rather than shown as if it meant something.
        let last = repository.rsplit('/').next().unwrap_or(repository);
        let is_plain = is_token(repository, 255) && !last.contains(':');
        if !is_plain {
            return Err(invalid());
        }
        Ok(Self { repository: repository.to_owned(), digest: digest.parse().map_err(|_| invalid())? })
    }
}

impl TryFrom<String> for ImageDigestRef {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ImageDigestRef> for String {
    fn from(image: ImageDigestRef) -> Self {
        image.to_string()
    }
}

impl fmt::Display for ImageDigestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl fmt::Debug for ImageDigestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_accepted_by_digest_only() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for good in [format!("localhost:4566/web@{digest}"), format!("web@{digest}")] {
            assert_eq!(good.parse::<ImageDigestRef>().unwrap().to_string(), good);
        }
        for bad in [
            "web:latest".to_owned(),
            "web".into(),
            format!("host/web:1@{digest}"),
            format!("web:1@{digest}"),
            format!("web:@{digest}"),
            format!("@{digest}"),
            "web@sha256:abc".into(),
            format!("a b@{digest}"),
        ] {
            assert!(bad.parse::<ImageDigestRef>().is_err(), "{bad}");
        }
    }
}
