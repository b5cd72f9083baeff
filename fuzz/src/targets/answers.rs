//! What forges answer to REST questions, through the whole client: statuses, headers, pages, redirects, JSON.
//!
//! An input is a line with a provider and a verb, and answers, which are given in their order to whatever
//! the verb asks. An answer is a status, a header a line, an empty line and a body. Behind the last answer
//! the forge says 404.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use http::{HeaderName, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use pushway_core::commits::{Commits, MAX_COMMITS};
use pushway_core::forge::{Branches, CheckState, CommitStatus};
use pushway_core::ids::CommitSha;
use pushway_core::ports::{Answer, Fault};
use pushway_core::signature::Secret;
use pushway_core::source::{Hook, Provider};
use pushway_forges::{Connections, Credentials, Forge, MAX_FILE_BYTES};
use pushway_tests::forges::{FakeDelivery, FakeHook, FakeRepository, Seen, answered, repository_of};
use pushway_tests::sim::story::{hook, parse};

/// Between two answers.
const NEXT: &[u8] = b"\n%%\n";
/// What the forge knows Pushway by. Nothing that is told of a failure may repeat it.
const TOKEN: &str = "hunter2-token";
/// Where every forge is.
const FORGE: &str = "https://forge.example.com";
/// The webhook's id there.
const WEBHOOK: &str = "1";
/// Requests that one verb may make: ten pages and twenty redeliveries, each redirected twice.
const MOST_REQUESTS: usize = 100;

const REST: [Provider; 4] = [Provider::Github, Provider::Gitlab, Provider::Bitbucket, Provider::Gitea];
const VERBS: [&str; 15] = [
    "file",
    "folder",
    "head",
    "tag",
    "branches",
    "branches-again",
    "changes",
    "commits",
    "pull",
    "status",
    "repository",
    "create",
    "update",
    "health",
    "redeliver",
];

pub(crate) fn run(input: &[u8]) {
    let (first, rest) = split(input, b"\n");
    let Some((provider, verb)) = std::str::from_utf8(first).ok().and_then(|line| line.split_once(' ')) else {
        return;
    };
    let Some(provider) = REST.into_iter().find(|known| known.as_str() == provider) else { return };
    let answers = Mutex::new(answers(rest));
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let forge = forge(provider, move |request| {
        *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        assert_eq!(request.url().origin().ascii_serialization(), FORGE, "someone else was asked");
        answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_else(absent)
    });
    let commit = parse("6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    ask(&forge, verb, &commit, &commit);
    let asked = *asked.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(asked <= MOST_REQUESTS, "{provider} {verb} asked {asked} times");
}

/// Asks, and holds what is told to the promises of the verb.
fn ask(forge: &Forge, verb: &str, commit: &CommitSha, base: &CommitSha) {
    let (url, secret) = ("https://ci.example.com/webhooks/x/web", Secret::new("s"));
    let secret = secret.unwrap_or_else(|| panic!("it is not empty"));
    let status = CommitStatus {
        context: "pushway/web/build".into(),
        state: CheckState::Success,
        description: "built in 40 s".into(),
        url: None,
    };
    match verb {
        "file" => {
            let text = told(forge.file(commit, &parse("pushway.yml"))).flatten();
            assert!(text.is_none_or(|text| text.len() <= MAX_FILE_BYTES));
        }
        "folder" => drop(told(forge.folder(commit, &parse("ci")))),
        "head" => drop(told(forge.head(&parse("refs/heads/feature/x")))),
        "tag" => drop(told(forge.head(&parse("refs/tags/v1")))),
        "branches" | "branches-again" => {
            let etag = (verb == "branches-again").then_some("\"seen\"");
            match told(forge.branches(etag)) {
                Some(Branches::Unchanged) => assert!(etag.is_some(), "it is unchanged since nothing"),
                Some(Branches::Listed { heads, etag, .. }) => {
                    assert!(heads.keys().all(|name| name.as_str().starts_with("refs/heads/")));
                    assert!(etag.is_none_or(|etag| etag.len() <= 512), "it is kept in the table");
                }
                None => {}
            }
        }
        "changes" => drop(told(forge.changes(base, commit))),
        "commits" => {
            if let Some(Commits::Known(range)) = told(forge.commits(base, commit)) {
                assert!(range.coming.len() <= MAX_COMMITS && range.leaving.len() <= MAX_COMMITS);
                let lines = range.coming.iter().chain(&range.leaving);
                let mut texts = lines.flat_map(|line| [&line.message, &line.author]);
                assert!(texts.all(|text| text.chars().count() < 200 && !text.contains('\n')), "{range:?}");
            }
        }
        "pull" => drop(told(forge.pull_request(7))),
        "status" => drop(told(forge.post_status(commit, &status))),
        "repository" => drop(told(forge.repository())),
        "create" => drop(told(forge.create_hook(url, &secret))),
        "update" => drop(told(forge.update_hook(WEBHOOK, url, &secret))),
        "health" => drop(told(forge.hook_health(WEBHOOK))),
        "redeliver" => drop(told(forge.redeliver(WEBHOOK, Timestamp::UNIX_EPOCH))),
        _ => {}
    }
}

/// An answer that is there at once, if it is one. A fault is of a bounded length and holds no token, and one
/// that asks for patience asks for an hour at most.
fn told<T: Debug>(answer: impl Future<Output = Answer<T>>) -> Option<T> {
    let Poll::Ready(answer) = pin!(answer).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing here waits");
    };
    let fault = match answer {
        Ok(answer) => return Some(answer),
        Err(fault) => fault,
    };
    if let Fault::Limited { seconds, .. } = fault {
        assert!((1..=3600).contains(&seconds), "{fault}");
    }
    let words = fault.to_string();
    assert!(!words.contains(TOKEN) && words.len() <= 8_000, "{words}");
    None
}

fn forge(
    provider: Provider,
    answer: impl Fn(&pushway_forges::testing::Request) -> Response<Vec<u8>> + Send + Sync + 'static,
) -> Forge {
    let hook = Hook {
        provider,
        repository: "octo/web".into(),
        api_url: Some(format!("{FORGE}{}", pushway_tests::forges::base(provider))),
        ..hook()
    };
    let token = Secret::new(TOKEN).map(|token| Credentials::parse(&token));
    let Some(Ok(credentials)) = token else { panic!("the token is one") };
    let connections = Connections::answered_by(answer);
    Forge::new(&connections, &hook, Some(credentials)).unwrap_or_else(|fault| panic!("{fault}"))
}

fn absent() -> Response<Vec<u8>> {
    let mut answer = Response::new(Vec::new());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

fn answers(input: &[u8]) -> VecDeque<Response<Vec<u8>>> {
    let (mut answers, mut rest) = (VecDeque::new(), input);
    while !rest.is_empty() {
        let (answer, others) = split(rest, NEXT);
        answers.push_back(read(answer));
        rest = others;
    }
    answers
}

/// What HTTP itself would not let through, such as a header with a line end, is left out.
fn read(answer: &[u8]) -> Response<Vec<u8>> {
    let (head, body) = split(answer, b"\n\n");
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok()).unwrap_or_default();
    let mut answer = Response::new(body.to_vec());
    *answer.status_mut() = status;
    for line in lines {
        let (name, value) = split(line, b": ");
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}

fn split<'i>(input: &'i [u8], at: &[u8]) -> (&'i [u8], &'i [u8]) {
    let found = input.windows(at.len()).position(|window| window == at);
    found.map_or((input, &[]), |found| (&input[..found], &input[found + at.len()..]))
}

/// What the fakes answer to every verb, and the ways in which forges refuse.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let asks = REST.into_iter().flat_map(|provider| VERBS.map(|verb| (provider, verb)));
    let mut seeds: Vec<Vec<u8>> = asks.map(|(provider, verb)| recorded(provider, verb)).collect();
    for (provider, verb) in [("github", "head"), ("gitlab", "status"), ("bitbucket", "branches")] {
        for refusal in [
            "429\nretry-after: Sat, 21 Nov 2026 10:02:00 GMT\n\n{}",
            "403\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1790000300\n\n{\"message\": \"API rate limit\"}",
            "422\n\n{\"message\": {\"text\": [\"hunter2-token\"]}}",
            "200\n\n{\"sha\": 1, \"values\": \"hunter2-token\"}",
            "301\nlocation: /elsewhere?page=2\n\n\n%%\n200\n\n[]",
            "503\nretry-after: 99999999999999999999\n\n<html>",
            "200\nlink: <?page=2>; rel=\"next\", <x>; rel=last\n\n[]\n%%\n200\n\n[]",
        ] {
            seeds.push(format!("{provider} {verb}\n{refusal}").into_bytes());
        }
    }
    seeds
}

/// A verb at the fake of a provider, as an input.
fn recorded(provider: Provider, verb: &str) -> Vec<u8> {
    let mut repository = repository_of(provider);
    deliver(&mut repository);
    let tips = ["main", "feature/x"].map(|branch| repository.branches[branch].clone());
    let input = Arc::new(Mutex::new(format!("{provider} {verb}").into_bytes()));
    let (state, record) = (Mutex::new(repository), Arc::clone(&input));
    let forge = forge(provider, move |request| {
        let uri = request.url().as_str().parse().unwrap_or_else(|error| panic!("{error}"));
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default().to_vec();
        let headers = request.headers().clone();
        let seen = Seen::new(provider, request.method().clone(), &uri, headers, body.into());
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = answered(provider, &mut state, &seen, TOKEN, FORGE);
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        let separator: &[u8] = if record.contains(&b'\n') { NEXT } else { b"\n" };
        record.extend(separator);
        let headers = reply.headers.iter().map(|(name, value)| format!("\n{name}: {value}"));
        let headers = headers.collect::<Vec<_>>().concat();
        let answer = [format!("{}{headers}\n\n", reply.status).as_bytes(), &reply.body].concat();
        record.extend(&answer);
        read(&answer)
    });
    ask(&forge, verb, &tips[1], &tips[0]);
    drop(forge);
    let input = std::mem::take(&mut *input.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(
        input.contains(&b'\n') || (verb == "redeliver" && provider != Provider::Github),
        "{provider} {verb}"
    );
    input
}

/// A webhook whose last delivery failed.
fn deliver(repository: &mut FakeRepository) {
    repository.hooks.push(FakeHook { id: WEBHOOK.into(), is_active: true, ..FakeHook::default() });
    repository.deliveries.push(FakeDelivery {
        id: 7,
        guid: "0b989ba4".into(),
        at: Timestamp::from_second(1_790_000_000).unwrap_or_default(),
        event: "push".into(),
        status: 502,
        is_redelivery: false,
    });
}
