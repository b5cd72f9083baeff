//! Addresses of a repository's pages at its forge: of a commit, a branch or tag, a pull request.
//!
//! They are made of the hook, which an administrator has written, and of parts that are encoded one by one: nothing
//! that a push or a repository says is ever taken for an address. What the hook does not tell for certain has none,
//! and neither has a forge that is not reached by https.

use url::Url;

use crate::ids::{CommitSha, RefKind, RefName};
use crate::source::{Hook, Provider, Source};

/// The pages that belong to a run, as far as their addresses are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgePages {
    /// The commit's.
    pub commit: Option<String>,
    /// The branch's or tag's.
    pub git_ref: Option<String>,
    /// The pull request's.
    pub pull_request: Option<String>,
}

/// The pages of what a run comes from. A hook that has become another repository's since says nothing of it.
pub fn of(hook: &Hook, source: &Source) -> ForgePages {
    let is_same_id = hook.repository_id.as_ref() == Some(&source.repository_id);
    if hook.repository != source.repository && !is_same_id {
        return ForgePages::default();
    }
    let request = source.pull_request().map(|request| request.number);
    ForgePages {
        commit: commit(hook, &source.commit),
        git_ref: git_ref(hook, &source.git_ref),
        pull_request: request.and_then(|number| pull_request(hook, number)),
    }
}

/// A commit's page.
pub fn commit(hook: &Hook, commit: &CommitSha) -> Option<String> {
    let way: &[&str] = match hook.provider {
        Provider::Github | Provider::Gitea | Provider::Codecommit => &["commit"],
        Provider::Gitlab => &["-", "commit"],
        Provider::Bitbucket => &["commits"],
        Provider::Git => return None,
    };
    page(hook, way, commit.as_str())
}

/// A branch's or tag's page; other refs have none.
fn git_ref(hook: &Hook, git_ref: &RefName) -> Option<String> {
    let (is_tag, name) = match git_ref.kind() {
        RefKind::Branch(name) => (false, name),
        RefKind::Tag(name) => (true, name),
        RefKind::Other => return None,
    };
    let way: &[&str] = match (hook.provider, is_tag) {
        (Provider::Github, _) => &["tree"],
        (Provider::Gitlab, _) => &["-", "tree"],
        (Provider::Bitbucket, false) => &["branch"],
        (Provider::Bitbucket, true) => &["commits", "tag"],
        (Provider::Gitea, false) => &["src", "branch"],
        (Provider::Gitea, true) => &["src", "tag"],
        (Provider::Codecommit, false) => &["browse", "refs", "heads"],
        (Provider::Codecommit, true) => &["browse", "refs", "tags"],
        (Provider::Git, _) => return None,
    };
    page(hook, way, name)
}

fn pull_request(hook: &Hook, number: u64) -> Option<String> {
    let way: &[&str] = match hook.provider {
        Provider::Github => &["pull"],
        Provider::Gitlab => &["-", "merge_requests"],
        Provider::Bitbucket | Provider::Codecommit => &["pull-requests"],
        Provider::Gitea => &["pulls"],
        Provider::Git => return None,
    };
    page(hook, way, &number.to_string())
}

/// A page of the repository; `last` may have several parts.
fn page(hook: &Hook, way: &[&str], last: &str) -> Option<String> {
    let mut url = root(hook)?;
    // The parts of a ref are never `.` or `..`, by git's own rules, and of a repository they are refused below.
    url.path_segments_mut().ok()?.extend(way).extend(last.split('/'));
    Some(url.to_string())
}

/// The repository's own page.
fn root(hook: &Hook) -> Option<Url> {
    let parts: Vec<&str> = hook.repository.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return None;
    }
    let mut url = match hook.provider {
        Provider::Codecommit => console(hook)?,
        _ => site(hook)?,
    };
    url.path_segments_mut().ok()?.pop_if_empty().extend(parts);
    Some(url)
}

/// Where people see what the forge's API tells: each forge has its API at one path below its pages.
fn site(hook: &Hook) -> Option<Url> {
    let (api, public, path) = match hook.provider {
        Provider::Github => ("https://api.github.com", "https://github.com", "/api/v3"),
        Provider::Gitlab => ("https://gitlab.com/api/v4", "https://gitlab.com", "/api/v4"),
        Provider::Bitbucket => ("https://api.bitbucket.org/2.0", "https://bitbucket.org", ""),
        Provider::Gitea => ("", "", "/api/v1"),
        Provider::Git | Provider::Codecommit => return None,
    };
    let text = match hook.api_url.as_deref().map(|own| own.trim_end_matches('/')) {
        None => public.to_owned(),
        Some(own) if own == api => public.to_owned(),
        Some(own) => match own.strip_suffix(path).filter(|_| !path.is_empty()) {
            Some(site) => site.to_owned(),
            None => data_residency(hook.provider, own)?,
        },
    };
    let url = Url::parse(&text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_whole = url.query().is_none() && url.fragment().is_none();
    (url.scheme() == "https" && is_plain && is_whole).then_some(url)
}

/// GitHub's own hosts of enterprises have their APIs beside their pages (GitHub Docs, "Network details for GHE.com").
fn data_residency(provider: Provider, api: &str) -> Option<String> {
    let host = api.strip_prefix("https://api.").filter(|host| host.ends_with(".ghe.com"))?;
    (provider == Provider::Github).then(|| format!("https://{host}"))
}

/// Repositories in the console of the region that the clone URL names. Other partitions have consoles elsewhere.
fn console(hook: &Hook) -> Option<Url> {
    let clone = Url::parse(&hook.clone_url).ok()?;
    let host = clone.host_str()?.strip_suffix(".amazonaws.com")?;
    let region =
        host.strip_prefix("git-codecommit-fips.").or_else(|| host.strip_prefix("git-codecommit."))?;
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(is_region) || region.starts_with("us-gov-") {
        return None;
    }
    let text =
        format!("https://{region}.console.aws.amazon.com/codesuite/codecommit/repositories?region={region}");
    Url::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHA: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    fn hook(provider: &str, repository: &str, api_url: Option<&str>, clone_url: &str) -> Hook {
        let hook = json!({
            "id": "web", "provider": provider, "repository": repository, "repository_id": "42",
            "clone_url": clone_url, "api_url": api_url,
        });
        serde_json::from_value(hook).unwrap()
    }

    fn pages(hook: &Hook, git_ref: &str, number: u64) -> [Option<String>; 3] {
        [
            commit(hook, &SHA.parse().unwrap()).map(|url| url.replace(SHA, "SHA")),
            super::git_ref(hook, &git_ref.parse().unwrap()),
            pull_request(hook, number),
        ]
    }

    /// Provider, repository, API, ref; where its pages are, and those of the commit, the ref and pull request 7.
    const PAGES: &str = "
        github o/web - refs/heads/release/1
            https://github.com/o/web /commit/SHA /tree/release/1 /pull/7
        github o/web https://git.example.com/api/v3/ refs/tags/v1
            https://git.example.com/o/web /commit/SHA /tree/v1 /pull/7
        github o/web https://api.acme.ghe.com refs/heads/a#b%c
            https://acme.ghe.com/o/web /commit/SHA /tree/a%23b%25c /pull/7
        gitlab group/sub/web - refs/heads/main
            https://gitlab.com/group/sub/web /-/commit/SHA /-/tree/main /-/merge_requests/7
        gitlab o/web https://example.com/gitlab/api/v4 refs/tags/v1
            https://example.com/gitlab/o/web /-/commit/SHA /-/tree/v1 /-/merge_requests/7
        bitbucket o/web - refs/heads/main
            https://bitbucket.org/o/web /commits/SHA /branch/main /pull-requests/7
        bitbucket o/web https://api.bitbucket.org/2.0 refs/tags/v1
            https://bitbucket.org/o/web /commits/SHA /commits/tag/v1 /pull-requests/7
        gitea o/web https://git.example.com:3000/api/v1 refs/heads/main
            https://git.example.com:3000/o/web /commit/SHA /src/branch/main /pulls/7
        gitea o/web https://git.example.com/api/v1 refs/tags/v1
            https://git.example.com/o/web /commit/SHA /src/tag/v1 /pulls/7
        codecommit web - refs/heads/main
            https://eu-west-1.console.aws.amazon.com/codesuite/codecommit/repositories/web
            /commit/SHA?region=eu-west-1 /browse/refs/heads/main?region=eu-west-1 /pull-requests/7?region=eu-west-1
    ";

    #[test]
    fn each_forge_has_its_pages_where_it_has_them() {
        let words: Vec<&str> = PAGES.split_whitespace().collect();
        for line in words.chunks(8) {
            let [provider, repository, api_url, git_ref, site, expected @ ..] = line else {
                panic!("{line:?}")
            };
            let clone_url = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/web";
            let hook = hook(provider, repository, Some(*api_url).filter(|url| *url != "-"), clone_url);
            let expected: Vec<_> = expected.iter().map(|path| Some(format!("{site}{path}"))).collect();
            assert_eq!(pages(&hook, git_ref, 7).to_vec(), expected, "{provider} {api_url}");
        }
        assert_eq!(words.len(), 10 * 8);
    }

    #[test]
    fn a34_what_is_not_certain_has_no_page_and_no_text_becomes_an_address() {
        let good = "https://forge.example.com/o/web.git";
        for (provider, repository, api_url, clone_url) in [
            ("git", "o/web", None, good),
            ("gitea", "o/web", None, good),
            ("gitea", "o/web", Some("http://127.0.0.1:3000/api/v1"), good),
            ("gitea", "o/web", Some("https://forge.example.com/odd"), good),
            ("gitea", "o/web", Some("https://me:pw@forge.example.com/api/v1"), good),
            ("gitea", "o/web", Some("javascript:alert(1)//api/v1"), good),
            ("github", "o/web", Some("https://api.evil.example/.ghe.com/x"), good),
            ("github", "o/..", None, good),
            ("github", "//evil.example", None, good),
            ("bitbucket", "o/web", Some("https://bitbucket.example.com"), good),
            ("codecommit", "web", None, good),
            ("codecommit", "web", None, "https://git-codecommit.evil.example/x.amazonaws.com"),
            ("codecommit", "web", None, "https://git-codecommit.us-gov-west-1.amazonaws.com/v1/repos/web"),
            ("codecommit", "web", None, "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/web"),
        ] {
            let hook = hook(provider, repository, api_url, clone_url);
            assert_eq!(
                pages(&hook, "refs/heads/main", 7),
                [None, None, None],
                "{repository} {api_url:?} {clone_url}"
            );
        }
        let hostile = hook("github", "o/\"><script>x?y#z", None, good);
        let expected = "https://github.com/o/%22%3E%3Cscript%3Ex%3Fy%23z/commit/SHA";
        assert_eq!(pages(&hostile, "refs/notes/x", 7)[..2], [Some(expected.to_owned()), None]);
    }

    #[test]
    fn a_hook_that_is_another_repositorys_by_now_says_nothing_of_a_run() {
        let source = |name: &str, id: &str| -> Source {
            serde_json::from_value(json!({
                "provider": "github", "hook": "web", "delivery": "d-1", "repository_id": id, "repository": name,
                "git_ref": "refs/pull/7/head", "commit": SHA, "before": null, "message": "", "author": "",
                "trigger": { "kind": "pull_request", "number": 7, "base": "main", "base_commit": SHA, "is_fork": false },
            }))
            .unwrap()
        };
        let hook = hook("github", "o/web", None, "https://github.com/o/web.git");
        let pages = of(&hook, &source("o/web", "1"));
        assert_eq!(pages.pull_request.as_deref(), Some("https://github.com/o/web/pull/7"));
        assert!(pages.commit.is_some() && pages.git_ref.is_none(), "{pages:?}");
        assert_eq!(of(&hook, &source("o/old-name", "42")), pages, "it was renamed");
        assert_eq!(of(&hook, &source("o/other", "7")), ForgePages::default());
    }
}
