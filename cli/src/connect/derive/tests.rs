use clap::Parser as _;
use pushway_core::source::CloneLogin;

use super::*;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(words: &[&str]) -> Args {
    Line::parse_from(["connect"].iter().chain(words)).args
}

fn wish(words: &[&str]) -> anyhow::Result<Hook> {
    let args = args(words);
    let id = crate::installation::hook_id(&args.repository).map_err(anyhow::Error::msg)?;
    let mut hook = wished(&args, id, None)?;
    settle(&args, &mut hook, None, None)?;
    Ok(hook)
}

#[test]
fn each_providers_hook_follows_from_as_little_as_its_forge_allows() {
    for (words, id, api_url, clone_url) in [
        (&["github", "octo/web"][..], "octo.web", None, "https://github.com/octo/web.git"),
        (
            &["github", "octo/web", "--api-url", "https://git.example.com"],
            "octo.web",
            Some("https://git.example.com/api/v3"),
            "https://git.example.com/octo/web.git",
        ),
        (&["gitlab", "group/sub/web"], "group.sub.web", None, "https://gitlab.com/group/sub/web.git"),
        (
            &["gitlab", "group/web", "--api-url", "https://example.com/gitlab/api/v4/"],
            "group.web",
            Some("https://example.com/gitlab/api/v4"),
            "https://example.com/gitlab/group/web.git",
        ),
        (&["bitbucket", "octo/web"], "octo.web", None, "https://bitbucket.org/octo/web.git"),
        (
            &["gitea", "octo/web", "--api-url", "http://127.0.0.1:3000"],
            "octo.web",
            Some("http://127.0.0.1:3000/api/v1"),
            "http://127.0.0.1:3000/octo/web.git",
        ),
        (
            &["git", "web", "--clone-url", "ssh://git@example.com/web"],
            "web",
            None,
            "ssh://git@example.com/web",
        ),
        (
            &[
                "codecommit",
                "web",
                "--clone-url",
                "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/web",
            ],
            "web",
            None,
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/web",
        ),
    ] {
        let hook = wish(words).unwrap();
        assert_eq!((hook.id.as_str(), hook.api_url.as_deref()), (id, api_url), "{words:?}");
        assert_eq!(hook.clone_url, clone_url, "{words:?}");
        // Whatever comes by webhook is signed (row A7).
        assert_eq!(hook.secret.is_none(), hook.provider == Provider::Codecommit);
    }
    for (words, expected) in [
        (&["gitea", "octo/web"][..], "give its API URL"),
        (&["git", "web"], "give --clone-url"),
        (&["github", "web"], "owner/name"),
        (&["github", "octo/web", "--api-url", "http://git.example.com"], "https://"),
        (&["github", "octo/web", "--credentials", "token"], "begin with pushway/"),
    ] {
        let error = format!("{:#}", wish(words).unwrap_err());
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

#[test]
fn connecting_again_keeps_what_is_not_given_anew() {
    let args = args(&["gitlab", "octo/web"]);
    let id: HookId = "octo.web".parse().unwrap();
    let token: SecretRef = "secretsmanager:build/deploy-token".parse().unwrap();
    let known = Hook {
        repository_id: Some("7".parse().unwrap()),
        credentials: Some("pushway/credentials/gitlab/octo.web".into()),
        forge_hook: Some("12".into()),
        default_branch: Some("trunk".into()),
        clone_login: Some(CloneLogin { user: "ci".into(), token }),
        old_secret_until: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        ..new_hook(Provider::Gitlab, id.clone(), "octo/web", "https://git.example.com/octo/web.git").unwrap()
    };
    let mut hook = wished(&args, id.clone(), Some(&known)).unwrap();
    settle(&args, &mut hook, None, Some(&known)).unwrap();
    assert_eq!(hook, known);

    // The forge's word beats what was known; a renamed repository is the one of the same id.
    let view = RepositoryView {
        id: "7".parse().unwrap(),
        name: "octo/site".into(),
        default_branch: Some("main".into()),
        clone_url: "https://gitlab.com/octo/site.git".into(),
    };
    let mut renamed = wished(&args, id.clone(), Some(&known)).unwrap();
    settle(&args, &mut renamed, Some(view.clone()), Some(&known)).unwrap();
    assert_eq!((renamed.repository.as_str(), renamed.default_branch.as_deref()), ("octo/site", Some("main")));

    // Two names can make one id; the second must not take the first's hook over.
    let other = RepositoryView { id: "8".parse().unwrap(), ..view };
    let error = settle(&args, &mut hook, Some(other), Some(&known)).unwrap_err();
    assert!(error.to_string().contains("--hook"), "{error}");
}
