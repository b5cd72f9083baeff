//! What builds leave behind: files in the installation's bucket, and images in its registry.

use std::future::Future;

use super::Answer;
use crate::ids::{Digest, TaggedImage};

/// A file that a build may have left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactView {
    /// There is none.
    Absent,
    /// There is one, larger than what was asked for.
    TooLarge,
    /// Its content.
    Content(Vec<u8>),
}

/// Reads files that builds have left behind.
pub trait ReadArtifacts: Sync {
    /// The file of this key, of which no more than `limit` bytes are read.
    fn artifact(&self, key: &str, limit: usize) -> impl Future<Output = Answer<ArtifactView>> + Send;
}

/// What a registry says of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagView {
    /// The image that it points to now.
    Digest(Digest),
    /// The registry has no such repository, or no such tag in it.
    Absent,
    /// The registry is not the installation's own, so nobody asks it.
    Foreign,
}

/// Looks images up.
pub trait ReadImages: Sync {
    /// What a tag points to.
    fn tag(&self, image: &TaggedImage) -> impl Future<Output = Answer<TagView>> + Send;
}
