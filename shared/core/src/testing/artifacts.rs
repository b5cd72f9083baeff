//! What builds leave behind, in memory: files of builds that a test scripted so, and tags of a registry.
//!
//! The registry is ECR's of one account and region, as far as a tag can be looked up in it. A file is there once
//! its build has ended, and only if the build was told to leave artifacts.

use super::{BuildScript, World, digest_of};
use crate::ids::{Digest, TaggedImage};
use crate::image_file;
use crate::ports::{Answer, ArtifactView, ReadArtifacts, ReadImages, TagView};

/// Account and region of the world.
const OWN: (&str, &str) = ("111122223333", "eu-central-1");

impl World {
    /// Points a tag at an image: `registry/repository:tag`.
    pub fn set_tag(&self, image: &str, digest: &Digest) {
        self.lock().tags.insert(image.to_owned(), digest.clone());
    }
}

impl ReadArtifacts for World {
    async fn artifact(&self, key: &str, limit: usize) -> Answer<ArtifactView> {
        self.call("artifact", key, |state| {
            let now = state.now;
            let left = state.builds.started().iter().find_map(|build| {
                let BuildScript::Leaves(files) = &build.script else { return None };
                let request = &build.request;
                let mut wanted = request.plan.image_files.iter();
                let file = wanted.find(|file| {
                    image_file::key(request.run, &request.job, request.attempt, **file) == key
                })?;
                let text = files.get(file.name()).filter(|_| build.ends_at.is_some_and(|at| at <= now))?;
                let text = text.replace("{digest}", &digest_of(&request.commit));
                Some(text.replace("{commit}", request.commit.as_str()).into_bytes())
            });
            Ok(match left {
                None => ArtifactView::Absent,
                Some(bytes) if bytes.len() > limit => ArtifactView::TooLarge,
                Some(bytes) => ArtifactView::Content(bytes),
            })
        })
        .await
    }
}

impl ReadImages for World {
    async fn tag(&self, image: &TaggedImage) -> Answer<TagView> {
        self.call("tag", image, |state| {
            let is_own = image.ecr_host().is_some_and(|host| (host.account, host.region) == OWN);
            Ok(match state.tags.get(&image.to_string()) {
                _ if !is_own => TagView::Foreign,
                Some(digest) => TagView::Digest(digest.clone()),
                None => TagView::Absent,
            })
        })
        .await
    }
}
