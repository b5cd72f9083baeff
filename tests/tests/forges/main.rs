//! The clients of the forges against fakes that speak the providers' documented shapes (rows F3, F4, F42,
//! A19, A20).

mod codecommit;
mod credentials;
mod hooks;
mod limits;
mod reading;

use pushway_core::forge::{CheckState, CommitStatus};
use pushway_core::ids::CommitSha;
use pushway_core::ports::{Answer, Fault};
use pushway_core::signature::Secret;
use pushway_core::source::Provider;
use pushway_forges::{Connections, Credentials, Forge};
use pushway_tests::forges::{FakeForge, repository_of};

pub(crate) const TOKEN: &str = "hunter2-token";
pub(crate) const REST: [Provider; 4] =
    [Provider::Github, Provider::Gitlab, Provider::Bitbucket, Provider::Gitea];

pub(crate) fn client(fake: &FakeForge, credentials: &str) -> Forge {
    let secret = Secret::new(credentials).expect("credentials are not empty");
    let credentials = Credentials::parse(&secret).expect("credentials are readable");
    Forge::new(&Connections::default(), &fake.hook("web"), Some(credentials)).expect("the hook is right")
}

pub(crate) async fn start(provider: Provider) -> (FakeForge, Forge) {
    let fake = FakeForge::start(provider, TOKEN, repository_of(provider)).await;
    let forge = client(&fake, TOKEN);
    (fake, forge)
}

/// Where a branch of the fake points.
pub(crate) fn tip(fake: &FakeForge, branch: &str) -> CommitSha {
    fake.with(|repository| repository.branches[branch].clone())
}

pub(crate) fn permanent<T: std::fmt::Debug>(answer: Answer<T>) -> String {
    match answer {
        Err(Fault::Permanent(text)) => text,
        other => panic!("not permanent: {other:?}"),
    }
}

pub(crate) fn status(state: CheckState) -> CommitStatus {
    CommitStatus {
        context: "pushway/web/build".into(),
        state,
        description: "built in 40 s".into(),
        url: Some("https://ci.example.com/runs/1".into()),
    }
}
