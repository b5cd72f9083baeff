//! The repository that most tests of the forges' clients, and the fuzz targets, have at the forge.

use pushway_core::source::Provider;

use super::FakeRepository;

/// A repository with a renamed file on a branch of two parts, a tag, a fork's pull request and our own.
pub fn repository_of(provider: Provider) -> FakeRepository {
    let id = if provider == Provider::Bitbucket { "{85d08b4e-571d-44e9-a507-fa476535aa98}" } else { "42" };
    let mut repository = FakeRepository::new(
        id,
        &[
            ("pushway.yml", "version: 1\n"),
            ("ci/a b#?.yml", "x"),
            ("ci/deep/c.yml", "y"),
            ("old.txt", "same"),
            ("big.yml", &"#".repeat(64 * 1024 + 1)),
        ],
    );
    let ours = repository.commit("feature/x", "Mend\n\nThe rest.", &[("src/a.rs", "fn a() {}")]);
    let mut moved = repository.commits[&ours].clone();
    moved.parents = vec![ours.clone()];
    moved.files.remove("old.txt");
    moved.files.insert("new.txt".into(), "same".into());
    let ours = repository.add(moved);
    repository.branches.insert("feature/x".into(), ours.clone());
    repository.tags.insert("v1".into(), repository.branches["main"].clone());
    let mut theirs = repository.commits[&ours].clone();
    theirs.parents = vec![repository.branches["main"].clone()];
    theirs.message = "Theirs".into();
    let theirs = repository.add(theirs);
    repository.open_pull(7, "main", &theirs, true);
    repository.open_pull(8, "feature/x", &ours, false);
    repository
}
