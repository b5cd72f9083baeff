//! `GET /sign-in`, and what is shown where a page can't be.

use askama::Template;

use crate::frame::Frame;
use crate::links;
use crate::parts::Icon;

/// Signing in. `POST /sign-in` has the fields `token` and `next`; `POST /sign-out` ends it.
#[derive(Template)]
#[template(path = "login.html", blocks = ["main"])]
pub struct LoginPage<'a> {
    /// Nobody looks yet.
    pub frame: &'a Frame,
    /// The issuer that people may sign in with, where there is one.
    pub issuer: Option<&'a Issuer>,
    /// Where they wanted to go.
    pub next: &'a str,
    /// Why the last try did not work.
    pub problem: Option<&'a str>,
}

/// An OIDC issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name, for people.
    pub name: String,
    /// Where the sign-in begins: a path of this site that redirects.
    pub path: String,
}

impl LoginPage<'_> {
    fn next(&self) -> &str {
        links::local(self.next)
    }

    fn issuer_path(&self, issuer: &Issuer) -> String {
        links::with_query(links::local(&issuer.path), &[("next", self.next())])
    }
}

/// What happened instead of a page, and what to do.
#[derive(Template)]
#[template(path = "problem.html", blocks = ["main"])]
pub struct ProblemPage<'a> {
    /// Who looks, and when.
    pub frame: &'a Frame,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a few words.
    pub title: &'a str,
    /// With which input, and what to do next.
    pub detail: &'a str,
    /// The page that it was about: a path of this site.
    pub back: Option<&'a str>,
}
