//! Files and heads, asked of the forge that the hook names.

use pushway_core::ids::{RefName, RepositoryPath, RunId};
use pushway_core::ports::{Answer, Fault, HeadView, Heads, RepositoryFiles};
use pushway_core::source::{Hook, Provider, Source};

use crate::Aws;

/// The largest file that is read: pipeline files and buildspecs are a few KiB.
pub(crate) const MAX_FILE_BYTES: usize = 64 * 1024;

impl RepositoryFiles for Aws {
    async fn file(
        &self,
        run: RunId,
        hook: &Hook,
        source: &Source,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        match hook.provider {
            Provider::Github => self.github_file(hook, source, path).await,
            Provider::Codecommit => self.codecommit_file(hook, source, path).await,
            Provider::Git => self.delivered_file(run, path).await,
        }
    }
}

impl Heads for Aws {
    async fn head(&self, hook: &Hook, git_ref: &RefName) -> Answer<Option<HeadView>> {
        match hook.provider {
            Provider::Github => self.github_head(hook, git_ref).await,
            Provider::Codecommit => self.codecommit_head(hook, git_ref).await,
            Provider::Git => Err(Fault::Permanent(format!(
                "a plain git server can't be asked where {git_ref} points; push to it instead"
            ))),
        }
    }
}

/// What is said of a file that is too large to be read.
pub(crate) fn too_large(path: &RepositoryPath) -> Fault {
    Fault::Permanent(format!("{path} is larger than {} KiB; make it smaller", MAX_FILE_BYTES / 1024))
}

/// A file's bytes as text, if they are text and not too many.
pub(crate) fn readable(path: &RepositoryPath, bytes: Vec<u8>) -> Answer<String> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(too_large(path));
    }
    String::from_utf8(bytes)
        .map_err(|_| Fault::Permanent(format!("{path} is not UTF-8; save it in that encoding")))
}
