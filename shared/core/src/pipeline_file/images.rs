//! The images of a deploy: an output of a build job each, that of a file the job leaves behind, or fixed by digest.
//!
//! Each is an image by digest once the build has ended, so that what was tested is what is deployed.

use std::collections::BTreeMap;

use super::environment::checked_ecs_name;
use super::expression::{Part, Scope, parts};
use super::jobs::Declared;
use super::limits::MAX_IMAGES;
use super::messages;
use super::reader::{Reader, most_similar};
use super::yaml::{MAX_TEXT_BYTES, Node, Position, Value};
use crate::ids::JobName;
use crate::image_file::ImageFile;
use crate::plan::ImageSource;

/// The images of a target.
pub(super) struct Images {
    /// By container.
    pub(super) named: BTreeMap<String, ImageSource>,
    /// The job whose file names containers and images instead.
    pub(super) from: Option<JobName>,
}

/// What an image is taken from, as it is written.
enum Written<'t> {
    Output { job: &'t str, output: &'t str },
    File { job: &'t str, file: &'t str },
    Test,
    Other,
}

fn written(template: &str) -> Written<'_> {
    let parts = parts(template).unwrap_or_default();
    let [Part::Name(name)] = parts[..] else { return Written::Other };
    match name.splitn(3, '.').collect::<Vec<_>>()[..] {
        ["build", job, file] if file.contains('.') => Written::File { job, file },
        ["build", job, output] => Written::Output { job, output },
        ["test", _, _] => Written::Test,
        _ => Written::Other,
    }
}

pub(super) fn images(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    scope: Scope<'_>,
) -> Option<Images> {
    if let Value::Text(template) = &node.value {
        let from = definitions(reader, node.at, template, declared)?;
        return Some(Images { named: BTreeMap::new(), from: Some(from) });
    }
    let entries = reader.entries(node, "images", MAX_IMAGES)?;
    if entries.is_empty() {
        return reader.fail(node.at, messages::none_given("images", "a container and its image"));
    }
    let mut named = BTreeMap::new();
    for entry in entries {
        let container = checked_ecs_name(reader, entry.at, "images", &entry.key);
        let source = image(reader, &entry.value, &entry.key, declared, scope);
        if let (Some(container), Some(source)) = (container, source) {
            named.insert(container, source);
        }
    }
    Some(Images { named, from: None })
}

/// A text in place of the map: the job whose `imagedefinitions.json` is the map.
fn definitions(
    reader: &mut Reader<'_>,
    at: Position,
    template: &str,
    declared: &Declared<'_>,
) -> Option<JobName> {
    match written(template) {
        Written::File { job, file } if file == ImageFile::Definitions.name() => {
            known_job(reader, at, job, declared)?;
            reader.checked(at, job)
        }
        Written::File { file, .. } if file == ImageFile::Detail.name() => {
            reader.fail(at, messages::detail_without_container())
        }
        Written::Test => reader.fail(at, messages::not_from_build("test")),
        _ => reader.fail(at, messages::images_not_a_map(template)),
    }
}

fn image(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    declared: &Declared<'_>,
    scope: Scope<'_>,
) -> Option<ImageSource> {
    let template = reader.text(node, key, MAX_TEXT_BYTES)?;
    match written(template) {
        Written::Output { job, output } => build_output(reader, node.at, job, output, declared),
        Written::File { job, file } if file == ImageFile::Detail.name() => {
            known_job(reader, node.at, job, declared)?;
            Some(ImageSource::Detail { job: reader.checked(node.at, job)? })
        }
        Written::File { file, .. } if file == ImageFile::Definitions.name() => {
            reader.fail(node.at, messages::definitions_name_containers(template))
        }
        Written::File { file, .. } => reader.fail(node.at, messages::unknown_image_file(file)),
        Written::Test => reader.fail(node.at, messages::not_from_build("test")),
        Written::Other => {
            let text = scope.text(reader, node, key, MAX_TEXT_BYTES)?;
            let fixed = text.parse().map(ImageSource::Fixed);
            fixed.map_err(|_| reader.report(node.at, messages::image_not_fixed(&text))).ok()
        }
    }
}

fn build_output(
    reader: &mut Reader<'_>,
    at: Position,
    job: &str,
    output: &str,
    declared: &Declared<'_>,
) -> Option<ImageSource> {
    known_job(reader, at, job, declared)?;
    // Outputs that could not be read were reported.
    let outputs = declared.get(job).and_then(Option::as_ref);
    if outputs.is_some_and(|outputs| !outputs.contains(output)) {
        return reader.fail(at, messages::undeclared_output(job, output));
    }
    Some(ImageSource::Output { job: reader.checked(at, job)?, output: reader.checked(at, output)? })
}

fn known_job(reader: &mut Reader<'_>, at: Position, job: &str, declared: &Declared<'_>) -> Option<()> {
    if declared.contains_key(job) {
        return Some(());
    }
    let known: Vec<&str> = declared.keys().map(String::as_str).collect();
    let similar = most_similar(job, known.iter().copied());
    reader.fail(at, messages::unknown_job(job, similar, &known))
}
