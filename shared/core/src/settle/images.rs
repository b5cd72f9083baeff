//! The images that a build's files name: read once, right after the build, and pinned to digests.
//!
//! Whatever such a file says, the build has an end: what is wrong with it is the build's failure, and only what
//! may pass (a service that is away) is tried again, until the state that waits runs out of heartbeats.

use std::collections::BTreeMap;

use crate::fact::{Cause, JobEnd, JobId};
use crate::ids::{ImageDigestRef, ImageUri, RunId};
use crate::image_file::{self, BuiltImages, ImageFile, MAX_IMAGE_FILE_BYTES};
use crate::messages;
use crate::plan::{JobPlan, Plan};
use crate::ports::{Answer, ArtifactView, Fault, ReadArtifacts, ReadImages, TagView};

/// The build whose files are read.
pub(super) struct Left<'a> {
    /// Its run.
    pub(super) run: RunId,
    /// Its job.
    pub(super) job: &'a JobId,
    /// The attempt, from 1.
    pub(super) attempt: u32,
}

/// The end of a build that has succeeded, with the images of the files that the plan asks for; a failure where
/// they can't be deployed.
pub(super) async fn with_images<P>(
    ports: &P,
    left: Left<'_>,
    plan: &Plan,
    of_job: &JobPlan,
    mut end: JobEnd,
) -> Answer<JobEnd>
where
    P: ReadArtifacts + ReadImages,
{
    if end.failure.is_some() {
        return Ok(end);
    }
    for file in of_job.image_files.iter().copied() {
        let mut failure = match content(ports, &left, file).await? {
            Ok(bytes) => named(ports, &left, file, &bytes, &mut end.images).await?.err(),
            Err(cause) => Some(cause),
        };
        if failure.is_none() && file == ImageFile::Definitions {
            let fits = image_file::check(plan, &left.job.name, &end.images.definitions);
            failure = fits.err().map(|problem| left.bad(file, &problem));
        }
        if failure.is_some() {
            let will_retry = left.attempt <= u32::from(of_job.retries);
            return Ok(JobEnd { failure, will_retry, images: BuiltImages::default(), ..end });
        }
    }
    Ok(end)
}

impl Left<'_> {
    fn bad(&self, file: ImageFile, problem: &str) -> Cause {
        messages::bad_image_file(self.job, file, problem)
    }

    /// The cause that a fault amounts to, where trying again is of no use.
    fn given_up(&self, what: &str, fault: Fault) -> Answer<Cause> {
        match fault {
            Fault::Permanent(why) => Ok(messages::images_not_looked_up(self.job, what, &why)),
            fault => Err(fault),
        }
    }
}

async fn content<P: ReadArtifacts>(
    ports: &P,
    left: &Left<'_>,
    file: ImageFile,
) -> Answer<Result<Vec<u8>, Cause>> {
    let key = image_file::key(left.run, left.job, left.attempt, file);
    Ok(Err(match ports.artifact(&key, MAX_IMAGE_FILE_BYTES).await {
        Ok(ArtifactView::Content(bytes)) => return Ok(Ok(bytes)),
        Ok(ArtifactView::Absent) => messages::no_image_file(left.job, file),
        Ok(ArtifactView::TooLarge) => left.bad(file, &messages::image_file_too_large(MAX_IMAGE_FILE_BYTES)),
        Err(fault) => left.given_up(&key, fault)?,
    }))
}

/// Puts what a file names, by digest, into `images`.
async fn named<P: ReadImages>(
    ports: &P,
    left: &Left<'_>,
    file: ImageFile,
    bytes: &[u8],
    images: &mut BuiltImages,
) -> Answer<Result<(), Cause>> {
    let read = match file {
        ImageFile::Definitions => image_file::definitions(bytes),
        ImageFile::Detail => image_file::detail(bytes).map(|uri| BTreeMap::from([(String::new(), uri)])),
    };
    let uris = match read {
        Ok(uris) => uris,
        Err(problem) => return Ok(Err(left.bad(file, &problem))),
    };
    for (container, uri) in uris {
        let image = match pinned(ports, left, file, uri).await? {
            Ok(image) => image,
            Err(cause) => return Ok(Err(cause)),
        };
        match file {
            ImageFile::Definitions => {
                images.definitions.insert(container, image);
            }
            ImageFile::Detail => images.detail = Some(image),
        }
    }
    Ok(Ok(()))
}

/// The image by digest; a tag is looked up now and never again (row A42).
async fn pinned<P: ReadImages>(
    ports: &P,
    left: &Left<'_>,
    file: ImageFile,
    uri: ImageUri,
) -> Answer<Result<ImageDigestRef, Cause>> {
    let image = match uri {
        ImageUri::Fixed(image) => return Ok(Ok(image)),
        ImageUri::Tagged(image) => image,
    };
    let problem = match ports.tag(&image).await {
        Ok(TagView::Digest(digest)) => match image.at(&digest) {
            Ok(image) => return Ok(Ok(image)),
            Err(error) => error.to_string(),
        },
        Ok(TagView::Absent) => messages::no_such_tag(&image),
        Ok(TagView::Foreign) => messages::foreign_tag(&image),
        Err(fault) => return left.given_up(&image.to_string(), fault).map(Err),
    };
    Ok(Err(left.bad(file, &problem)))
}
