//! The images that a build's files name: read once, right after the build, and pinned to digests.
//!
//! Whatever such a file says, the build has an end: what is wrong with it is the build's failure, and only what
//! may pass (a service that is away) is tried again.

use std::collections::BTreeMap;

use crate::fact::{Cause, JobEnd, JobId};
use crate::ids::{ImageDigestRef, ImageUri, RunId};
use crate::image_file::{self, BuiltImages, ImageFile, MAX_IMAGE_FILE_BYTES};
use crate::messages;
use crate::plan::{JobPlan, Plan};
use crate::ports::{Answer, ArtifactView, Fault, ReadArtifacts, ReadImages, TagView};

/// The end of a build that has succeeded, with the images of the files that the plan asks for; a failure where
/// they can't be deployed.
pub(super) async fn with_images<P>(
    ports: &P,
    (run, job, attempt): (RunId, &JobId, u32),
    plan: &Plan,
    of_job: &JobPlan,
    mut end: JobEnd,
) -> Answer<JobEnd>
where
    P: ReadArtifacts + ReadImages,
{
    if end.failure.is_some() || of_job.image_files.is_empty() {
        return Ok(end);
    }
    let mut images = BuiltImages::default();
    for file in of_job.image_files.iter().copied() {
        let key = image_file::key(run, job, attempt, file);
        let read = read(ports, &key, job, file).await?;
        let named = match read {
            Ok(bytes) => named(ports, file, &bytes).await?.and_then(|named| fitting(plan, job, named)),
            Err(cause) => return Ok(failed(end, cause, of_job, attempt)),
        };
        match named {
            Ok(Named::Definitions(named)) => images.definitions = named,
            Ok(Named::Detail(image)) => images.detail = Some(image),
            Err(problem) => {
                let cause = messages::bad_image_file(job, file, &problem);
                return Ok(failed(end, cause, of_job, attempt));
            }
        }
    }
    end.images = images;
    Ok(end)
}

fn failed(end: JobEnd, cause: Cause, plan: &JobPlan, attempt: u32) -> JobEnd {
    JobEnd { failure: Some(cause), will_retry: attempt <= u32::from(plan.retries), ..end }
}

/// What a file names, by digest.
enum Named {
    Definitions(BTreeMap<String, ImageDigestRef>),
    Detail(ImageDigestRef),
}

async fn read<P: ReadArtifacts>(
    ports: &P,
    key: &str,
    job: &JobId,
    file: ImageFile,
) -> Answer<Result<Vec<u8>, Cause>> {
    let bad = |problem: String| Ok(Err(messages::bad_image_file(job, file, &problem)));
    match ports.artifact(key, MAX_IMAGE_FILE_BYTES).await {
        Ok(ArtifactView::Content(bytes)) => Ok(Ok(bytes)),
        Ok(ArtifactView::Absent) => Ok(Err(messages::no_image_file(job, file))),
        Ok(ArtifactView::TooLarge) => bad(messages::image_file_too_large(MAX_IMAGE_FILE_BYTES)),
        Err(Fault::Permanent(why)) => bad(messages::not_looked_up(key, &why)),
        Err(fault) => Err(fault),
    }
}

async fn named<P: ReadImages>(ports: &P, file: ImageFile, bytes: &[u8]) -> Answer<Result<Named, String>> {
    match file {
        ImageFile::Detail => match image_file::detail(bytes) {
            Ok(uri) => Ok(pinned(ports, uri).await?.map(Named::Detail)),
            Err(problem) => Ok(Err(problem)),
        },
        ImageFile::Definitions => {
            let uris = match image_file::definitions(bytes) {
                Ok(uris) => uris,
                Err(problem) => return Ok(Err(problem)),
            };
            let mut images = BTreeMap::new();
            for (container, uri) in uris {
                match pinned(ports, uri).await? {
                    Ok(image) => images.insert(container, image),
                    Err(problem) => return Ok(Err(problem)),
                };
            }
            Ok(Ok(Named::Definitions(images)))
        }
    }
}

/// The image by digest; a tag is looked up now and never again (row A42).
async fn pinned<P: ReadImages>(ports: &P, uri: ImageUri) -> Answer<Result<ImageDigestRef, String>> {
    let image = match uri {
        ImageUri::Fixed(image) => return Ok(Ok(image)),
        ImageUri::Tagged(image) => image,
    };
    Ok(match ports.tag(&image).await {
        Ok(TagView::Digest(digest)) => image.at(&digest).map_err(|error| error.to_string()),
        Ok(TagView::Absent) => Err(messages::no_such_tag(&image)),
        Ok(TagView::Foreign) => Err(messages::foreign_tag(&image)),
        Err(Fault::Permanent(why)) => Err(messages::not_looked_up(&image.to_string(), &why)),
        Err(fault) => return Err(fault),
    })
}

fn fitting(plan: &Plan, job: &JobId, named: Named) -> Result<Named, String> {
    if let Named::Definitions(images) = &named {
        image_file::check(plan, &job.name, images)?;
    }
    Ok(named)
}
