//! Files of a build chosen by the patterns of its buildspec.
//!
//! A build is not trusted: the base folder must lie in the source folder after links are resolved, links
//! below it are not followed, and the walk is bounded.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::buildspec::FileSet;

/// The most entries that one pattern walk looks at.
const MOST_ENTRIES: usize = 200_000;

/// What matched: paths relative to `base`, sorted.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) base: PathBuf,
    pub(super) files: Vec<PathBuf>,
}

/// The files of `set` in `source`, which must be an absolute path without links.
pub(super) fn matching(source: &Path, set: &FileSet) -> Result<Found, String> {
    let wanted = set.base_directory.as_deref().unwrap_or(".");
    let expanded = expand(wanted, source);
    let base = source.join(&expanded);
    let base = base.canonicalize().map_err(|error| format!("base-directory {wanted:?}: {error}"))?;
    if !base.starts_with(source) {
        return Err(format!("base-directory {wanted:?} is outside the source folder"));
    }
    let include = globs(&set.files, source, &base)?;
    let exclude = globs(&set.exclude_paths, source, &base)?;
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    let mut entries = 0;
    while let Some(folder) = folders.pop() {
        let listing = std::fs::read_dir(base.join(&folder))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in listing.flatten() {
            entries += 1;
            if entries > MOST_ENTRIES {
                return Err(format!(
                    "more than {MOST_ENTRIES} files under {wanted:?}; narrow base-directory"
                ));
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = folder.join(entry.file_name());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && include.is_match(&path) && !exclude.is_match(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(Found { base, files })
}

/// The one variable that paths in buildspecs commonly begin with.
fn expand(path: &str, source: &Path) -> PathBuf {
    for variable in ["$CODEBUILD_SRC_DIR", "${CODEBUILD_SRC_DIR}"] {
        if let Some(rest) = path.strip_prefix(variable) {
            return source.join(rest.trim_start_matches('/'));
        }
    }
    PathBuf::from(path)
}

fn globs(patterns: &[String], source: &Path, base: &Path) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let expanded = expand(pattern, source);
        let relative = expanded.strip_prefix(base).unwrap_or(&expanded).to_string_lossy();
        let relative = relative.trim_start_matches("./");
        let glob = GlobBuilder::new(relative)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("files {pattern:?}: {error}"))?;
        set.add(glob);
    }
    set.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[&str], base: Option<&str>) -> FileSet {
        FileSet {
            files: files.iter().map(ToString::to_string).collect(),
            base_directory: base.map(str::to_owned),
            ..FileSet::default()
        }
    }

    #[test]
    fn patterns_choose_files_and_never_leave_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let source = root.join("src");
        for path in ["out/a.xml", "out/deep/b.xml", "out/c.txt"] {
            let path = source.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(root.join("outside.xml"), "").unwrap();
        std::os::unix::fs::symlink(root.join("outside.xml"), source.join("out/link.xml")).unwrap();
        std::os::unix::fs::symlink(&root, source.join("up")).unwrap();

        let names = |files: &[&str], base| {
            let found = matching(&source, &set(files, base)).unwrap();
            found.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["out/*.xml"], None), ["out/a.xml"]);
        assert_eq!(names(&["**/*.xml"], Some("out")), ["a.xml", "deep/b.xml"]);
        assert_eq!(
            names(&["$CODEBUILD_SRC_DIR/out/**/*"], None),
            ["out/a.xml", "out/c.txt", "out/deep/b.xml"]
        );
        assert_eq!(names(&["../outside.xml"], None), [""; 0]);
        for base in ["..", "up", "/etc", "absent"] {
            assert!(matching(&source, &set(&["*"], Some(base))).is_err(), "{base}");
        }
    }
}
