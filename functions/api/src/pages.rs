//! The dashboard: what `pushway-dashboard` renders, filled from the ports.
//!
//! A page is asked for with GET and changes nothing. Who looks is asked as for the API; whoever has not said so is
//! led to the sign-in, and whatever else went wrong is told by a page, too.

mod compress;
mod fill;
mod insights;
mod overview;

use std::sync::LazyLock;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use pushway_core::access::Principal;
use pushway_core::ports::{
    Clock, Environments, Fault, History, Hooks, InsightSettings, Issuer, ListEnvironments, ListPipelines,
    Overdue, Plans, Random, ReadBuilds, ReadLogs, ReadRuns, ReadTestCases, RunFigures, SealingKey, Sessions,
    Tokens,
};
use pushway_dashboard::{
    ASSET_CACHE, Asset, Frame, Issuer as IssuerLink, LoginPage, ProblemPage, Section, Template, asset,
    headers, links,
};
use serde::Deserialize;

pub(crate) use compress::compressed;

use crate::reply::{Problem, Reply};
use crate::{all_of, forms, principal, session, sign_in};

/// What people are told who can't sign in until an administrator has mended something.
const NOT_SET_UP: &str =
    "signing in is not set up right; an administrator finds why in the log of the function api";

all_of! {
    /// What pages are filled from: all of it reads, so that no page can change anything.
    pub(crate) Readers:
    ReadRuns
    + History
    + Environments
    + ListEnvironments
    + ListPipelines
    + Overdue
    + ReadBuilds
    + ReadLogs
    + ReadTestCases
    + RunFigures
    + InsightSettings
    + SealingKey
    + Plans
    + Hooks
    + Clock
}

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Overview,
    Approvals,
    Run,
    Log,
    Approval,
    Environment,
    Rollback,
    Commit,
    Insights,
    SignIn,
    Issuer,
    Callback,
}

/// The pages by path.
static ROUTES: LazyLock<matchit::Router<Page>> = LazyLock::new(|| {
    let mut router = matchit::Router::new();
    for (path, page) in [
        ("/", Page::Overview),
        ("/approvals", Page::Approvals),
        ("/runs/{run}", Page::Run),
        ("/runs/{run}/jobs/{stage}/{job}", Page::Log),
        ("/runs/{run}/environments/{environment}/approve", Page::Approval),
        ("/environments/{pipeline}/{environment}", Page::Environment),
        ("/environments/{pipeline}/{environment}/rollback", Page::Rollback),
        ("/commits/{commit}", Page::Commit),
        ("/insights", Page::Insights),
        ("/sign-in", Page::SignIn),
        (sign_in::BEGIN, Page::Issuer),
        (sign_in::BACK, Page::Callback),
    ] {
        // Two paths that can't be told apart are an error of this table, which every test would show.
        router.insert(path, page).unwrap_or_else(|error| panic!("the page {path}: {error}"));
    }
    router
});

/// What a page's address may ask for; anything else in it is somebody's bookmark, and no error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    part: String,
    cursor: String,
    from: Option<u64>,
    to: String,
    next: String,
    after: String,
    pipeline: String,
    branch: String,
    status: String,
    author: String,
    environment: String,
}

/// A page that is asked for, and who looks at it.
struct Look<'r> {
    page: Page,
    parameters: matchit::Params<'static, 'r>,
    query: Query,
    frame: Frame,
}

impl Look<'_> {
    fn text(&self, name: &str) -> &str {
        self.parameters.get(name).unwrap_or_default()
    }

    /// The whole page, or what the script asks for of it.
    fn show(&self, whole: &impl Template, part: &impl Template) -> Result<String, Problem> {
        let rendered = if self.query.part.is_empty() { whole.render() } else { part.render() };
        rendered.map_err(|error| Problem::Fault(Fault::Permanent(format!("render the page: {error}"))))
    }
}

/// Answers who asks for a page or an asset; `None` where the address is neither's.
pub(crate) async fn answer<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Option<Reply>
where
    P: Readers + Tokens + Sessions + Issuer + Random,
{
    if request.request_context.http.method != Method::GET {
        return None;
    }
    let (path, _) = principal::path(request);
    if let Some(asset) = asset(path) {
        return Some(of_asset(asset));
    }
    let found = ROUTES.at(path).ok()?;
    let query: Query = serde_html_form::from_str(request.raw_query_string.as_deref().unwrap_or_default())
        .unwrap_or_default();
    let frame = frame(ports, *found.value);
    let mut look = Look { page: *found.value, parameters: found.params, query, frame };
    let led = match look.page {
        Page::Issuer => Some(sign_in::begin(ports, request, &look.query.next).await),
        Page::Callback => Some(sign_in::back(ports, request).await),
        _ => None,
    };
    match led {
        Some(Ok(reply)) => return Some(reply),
        Some(Err(problem)) => {
            let begun = sign_in::begun(ports, request).await;
            let next = begun.map_or_else(|| look.query.next.clone(), |attempt| attempt.next);
            return Some(not_in(ports, &look.frame, &next, &problem));
        }
        None => {}
    }
    let shown = match look.page {
        Page::SignIn => login(ports, &look.frame, &look.query.next, None),
        _ => match signed_in(ports, request, &mut look.frame).await {
            Ok(()) => Box::pin(fill::page(ports, &mut look)).await,
            Err(problem) => Err(problem),
        },
    };
    Some(match shown {
        Ok(html) => of_html(StatusCode::OK, html),
        Err(problem) => of_problem(&look, request, problem),
    })
}

fn frame<P: Clock>(ports: &P, page: Page) -> Frame {
    let section = match page {
        Page::Overview => Section::Overview,
        Page::Approvals | Page::Approval => Section::Approvals,
        Page::Insights => Section::Insights,
        _ => Section::Elsewhere,
    };
    Frame { now: Frame::coarse(ports.now()), viewer: None, csrf: String::new(), waiting: 0, section }
}

/// Says in the frame whose session it is.
async fn signed_in<P: Tokens + Sessions + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    frame: &mut Frame,
) -> Result<(), Problem> {
    let token = session::token(request).ok_or(Problem::Unauthorized(principal::SIGN_IN))?;
    frame.viewer = Some(session::holder(ports, token).await?);
    frame.csrf = session::proof(token);
    Ok(())
}

/// What comes after an order that a form has given: the page of what it has made or changed, or what went wrong.
pub(crate) fn afterwards<P: Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    viewer: Principal,
    reply: &Reply,
) -> Reply {
    let place = forms::afterwards(principal::path(request).0, reply);
    // The first of two clicks is carrying it out.
    let is_at_work = reply.headers.iter().any(|(name, _)| name == header::RETRY_AFTER);
    if reply.status.is_success() || is_at_work {
        return forms::go_to(&place);
    }
    let csrf = session::token(request).map(session::proof).unwrap_or_default();
    let frame = Frame { viewer: Some(viewer), csrf, ..frame(ports, Page::SignIn) };
    let (status, detail) = forms::problem(reply);
    told(&frame, status, &detail, Some(&place))
}

/// The page to sign in at.
fn login<P: Issuer>(ports: &P, frame: &Frame, next: &str, problem: Option<&str>) -> Result<String, Problem> {
    let issuer =
        ports.issuer().map(|issuer| IssuerLink { name: issuer.shown(), path: sign_in::BEGIN.into() });
    let page = LoginPage { frame, issuer: issuer.as_ref(), next, problem };
    page.render().map_err(|error| Problem::Fault(Fault::Permanent(format!("render the page: {error}"))))
}

/// The page to sign in at, for someone who has tried.
fn not_in<P: Issuer>(ports: &P, frame: &Frame, next: &str, problem: &Problem) -> Reply {
    let detail = match problem {
        Problem::Fault(fault) => {
            tracing::error!(error = %fault, "nobody can sign in");
            match fault {
                Fault::Permanent(_) => NOT_SET_UP.to_owned(),
                Fault::Retryable(_) | Fault::Limited { .. } => problem.detail(),
            }
        }
        _ => problem.detail(),
    };
    let html = login(ports, frame, next, Some(&detail));
    of_html(problem.status(), html.unwrap_or_default())
}

/// Why a form was refused, as a page.
pub(crate) fn refused<P: Issuer + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    problem: Problem,
) -> Reply {
    let frame = frame(ports, Page::SignIn);
    let (path, _) = principal::path(request);
    if path == "/sign-in" {
        return not_in(ports, &frame, &forms::next(request), &problem);
    }
    let place = forms::afterwards(path, &Reply::of(StatusCode::OK, "", String::new()));
    match problem {
        Problem::Unauthorized(_) | Problem::Refused(_) => forms::go_to(&links::sign_in(&place)),
        problem => told(&frame, problem.status(), &problem.detail(), Some(&place)),
    }
}

fn told(frame: &Frame, status: StatusCode, detail: &str, back: Option<&str>) -> Reply {
    let title = status.canonical_reason().unwrap_or_default();
    let page = ProblemPage { frame, status: status.as_u16(), title, detail, back };
    of_html(status, page.render().unwrap_or_else(|_| detail.to_owned()))
}

fn of_html(status: StatusCode, html: String) -> Reply {
    let own = headers().into_iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    });
    Reply { headers: own.collect(), ..Reply::of(status, "text/html; charset=utf-8", html) }
}

fn of_asset(asset: &'static Asset) -> Reply {
    Reply::of(StatusCode::OK, asset.content_type, asset.content.to_owned())
        .and(header::CACHE_CONTROL, HeaderValue::from_static(ASSET_CACHE))
}

/// What went wrong, as a page. A script that asks for a part is told by the status alone.
fn of_problem(look: &Look<'_>, request: &ApiGatewayV2httpRequest, problem: Problem) -> Reply {
    let (path, _) = principal::path(request);
    let is_unknown = matches!(problem, Problem::Unauthorized(_) | Problem::Refused(_));
    if !look.query.part.is_empty() {
        return problem.into();
    }
    let query = request.raw_query_string.as_deref().filter(|query| !query.is_empty());
    let asked = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    if is_unknown && let Ok(place) = HeaderValue::try_from(links::sign_in(&asked)) {
        return of_html(StatusCode::SEE_OTHER, String::new()).and(header::LOCATION, place);
    }
    let (status, detail) = (problem.status(), problem.detail());
    if let Problem::Fault(fault) = &problem {
        tracing::error!(error = %fault, path, "page not shown");
    }
    told(&look.frame, status, &detail, None)
}
