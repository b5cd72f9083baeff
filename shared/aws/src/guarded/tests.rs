//! The guarded client against names, redirects and servers that mean harm (rows A26, A28).
//!
//! The public network is played by 127.0.0.2, which alone is allowed; all else of 127/8 is inside.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Every way of writing an address inside that row A26 names, as a URL's host with port.
const INSIDE: [&str; 15] = [
    "169.254.169.254",
    "169.254.170.2",
    "[fd00:ec2::254]",
    "127.0.0.1:9001",
    "localhost.",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "2130706433",
    "0177.1",
    "0x7f.1",
];

/// Names and what each lookup of them finds; the last answer stays.
#[derive(Default)]
struct Names {
    answers: BTreeMap<&'static str, Vec<IpAddr>>,
    several: bool,
    lookups: Mutex<BTreeMap<String, usize>>,
}

impl Names {
    fn new(names: &[(&'static str, &[&str])]) -> Self {
        let parse = |addresses: &[&str]| addresses.iter().map(|text| text.parse().unwrap()).collect();
        let answers = names.iter().map(|(name, addresses)| (*name, parse(addresses))).collect();
        Self { answers, ..Self::default() }
    }

    fn lookups(&self, name: &str) -> usize {
        self.lookups.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

impl Resolve for Names {
    async fn resolve(&self, domain: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let count = {
            let mut lookups = self.lookups.lock().unwrap();
            let count = lookups.entry(domain.to_owned()).or_default();
            *count += 1;
            *count
        };
        let Some(answers) = self.answers.get(domain) else {
            return Err(std::io::Error::other("no such name"));
        };
        let socket = |address: &IpAddr| SocketAddr::new(*address, port);
        if self.several {
            return Ok(answers.iter().map(socket).collect());
        }
        Ok(vec![socket(&answers[(count - 1).min(answers.len() - 1)])])
    }
}

/// A server on an address of loopback: what it does with each connection, and how many there were.
async fn serve<F>(address: &str, act: impl Fn(TcpStream) -> F + Send + 'static) -> (u16, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(act(stream));
        }
    });
    (port, count)
}

/// A server of one answer.
async fn answering(answer: impl Into<Vec<u8>>) -> u16 {
    let answer = Arc::new(answer.into());
    let act = move |mut stream: TcpStream| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    };
    serve("127.0.0.2:0", act).await.0
}

async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => request.push(byte[0]),
            _ => break,
        }
    }
    request
}

fn redirect_to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn ask_within(names: &Names, url: &str, follows: bool, millis: u64) -> Probed {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let request = ProbeRequest { url, timeout: Duration::from_millis(millis), follows };
    ask(names, &["127.0.0.2/32".parse().unwrap()], &request).await
}

async fn follow(names: &Names, url: &str) -> Probed {
    ask_within(names, url, true, 5_000).await
}

fn answer(probed: Probed) -> ProbeAnswer {
    match probed {
        Probed::Answer(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

fn refused(probed: Probed, about: &str) -> String {
    match probed {
        Probed::Refused(why) => why,
        other => panic!("{about} was not refused: {other:?}"),
    }
}

fn nothing(probed: Probed) -> String {
    match probed {
        Probed::Nothing(why) => why,
        other => panic!("an answer: {other:?}"),
    }
}

fn names() -> Names {
    Names::new(&[("public.example", &["127.0.0.2"]), ("localhost.", &["127.0.0.1"])])
}

/// One test for each literal: asked for directly, and as the end of a redirect.
macro_rules! a26_literals {
    ($($test:ident: $index:expr;)*) => {
        #[test]
        fn a26_every_literal_has_its_test() {
            let mut tested = vec![$($index),*];
            tested.sort_unstable();
            assert_eq!(tested, (0..INSIDE.len()).collect::<Vec<_>>());
        }
        $(
            #[tokio::test]
            async fn $test() {
                let url = format!("http://{}/latest/meta-data", INSIDE[$index]);
                refused(follow(&names(), &url).await, &url);
                let port = answering(redirect_to(&url)).await;
                let first = format!("http://public.example:{port}/");
                let why = refused(follow(&names(), &first).await, &url);
                assert!(why.contains("not a public address") || why.contains("own runtime"), "{why}");
            }
        )*
    };
}

a26_literals! {
    a26_169_254_169_254: 0;
    a26_169_254_170_2: 1;
    a26_fd00_ec2_254: 2;
    a26_127_0_0_1_9001: 3;
    a26_localhost_with_a_dot: 4;
    a26_rfc1918_10: 5;
    a26_rfc1918_172_16: 6;
    a26_rfc1918_192_168: 7;
    a26_shared_100_64: 8;
    a26_0_0_0_0: 9;
    a26_mapped_127_0_0_1: 10;
    a26_nat64_127_0_0_1: 11;
    a26_decimal_2130706433: 12;
    a26_octal_0177_1: 13;
    a26_hexadecimal_0x7f_1: 14;
}

#[tokio::test]
async fn a26_a_user_name_before_the_host_is_refused_here_and_behind_a_redirect() {
    for url in ["http://user@127.0.0.2/", "http://public.example@127.0.0.2/", "http://:secret@127.0.0.2/"] {
        let why = refused(follow(&names(), url).await, url);
        assert!(why.contains("user name or password") && !why.contains("secret"), "{why}");
        let port = answering(redirect_to(url)).await;
        refused(follow(&names(), &format!("http://public.example:{port}/")).await, url);
    }
}

#[tokio::test]
async fn a26_file_is_refused_here_and_behind_a_redirect() {
    refuses_scheme("file:///etc/passwd").await;
}

#[tokio::test]
async fn a26_gopher_is_refused_here_and_behind_a_redirect() {
    refuses_scheme("gopher://127.0.0.2:70/_x").await;
}

async fn refuses_scheme(url: &str) {
    assert!(refused(follow(&names(), url).await, url).contains("only http and https"));
    let port = answering(redirect_to(url)).await;
    let why = refused(follow(&names(), &format!("http://public.example:{port}/")).await, url);
    assert!(why.contains("only http and https"), "{why}");
}

#[tokio::test]
async fn a26_rebinding_goes_to_the_address_that_was_judged() {
    let (port, outside) = serve("127.0.0.2:0", |mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK.as_bytes()).await;
    })
    .await;
    let (_, inside) = serve(&format!("127.0.0.1:{port}"), |_| async {}).await;
    let names = Names::new(&[("flips.example", &["127.0.0.2", "127.0.0.1"])]);
    let url = format!("http://flips.example:{port}/");
    assert_eq!(answer(follow(&names, &url).await).body, "ok");
    // One lookup, whose answer is pinned; the second answer is judged when it is the second question's.
    assert_eq!((names.lookups("flips.example"), outside.load(Ordering::SeqCst)), (1, 1));
    refused(follow(&names, &url).await, "the second answer");
    assert_eq!(inside.load(Ordering::SeqCst), 0, "nobody inside was asked");
}

#[tokio::test]
async fn a26_rebinding_between_two_hops_is_seen() {
    let names = Names::new(&[("flips.example", &["127.0.0.2", "169.254.169.254"])]);
    let port = answering(redirect_to("/again")).await;
    refused(follow(&names, &format!("http://flips.example:{port}/")).await, "the second hop");
    assert_eq!(names.lookups("flips.example"), 2);
}

#[tokio::test]
async fn a26_a_cname_to_inside_is_refused_and_so_is_one_inside_address_among_others() {
    let names = Names::new(&[("alias.example", &["10.0.0.7"])]);
    let why = refused(follow(&names, "http://alias.example/").await, "the alias");
    assert!(why.starts_with("alias.example: 10.0.0.7"), "{why}");
    let mut names = Names::new(&[("both.example", &["127.0.0.2", "10.0.0.7"])]);
    names.several = true;
    refused(follow(&names, "http://both.example/").await, "one of two");
}

#[tokio::test]
async fn redirects_are_followed_only_where_asked_and_only_a_few() {
    let port = answering(redirect_to("/next")).await;
    let url = format!("http://public.example:{port}/");
    assert_eq!(answer(ask_within(&names(), &url, false, 5_000).await).status, 302);
    assert!(nothing(follow(&names(), &url).await).contains("more than 3 redirects"));
    let end = answering(OK).await;
    let port = answering(redirect_to(&format!("http://public.example:{end}/"))).await;
    assert_eq!(answer(follow(&names(), &format!("http://public.example:{port}/")).await).body, "ok");
    let port = answering(redirect_to("http://[/")).await;
    assert!(
        refused(follow(&names(), &format!("http://public.example:{port}/")).await, "").contains("nowhere")
    );
}

#[tokio::test]
async fn a28_ten_gigabytes_are_read_as_far_as_needed() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let act = move |mut stream: TcpStream| {
        let sent = Arc::clone(&counted);
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await;
            let piece = vec![b'x'; 65_536];
            while stream.write_all(&piece).await.is_ok() {
                sent.fetch_add(65_536, Ordering::SeqCst);
            }
        }
    };
    let (port, _) = serve("127.0.0.2:0", act).await;
    let answer = answer(follow(&names(), &format!("http://public.example:{port}/")).await);
    assert_eq!((answer.body.len(), answer.is_whole), (MAX_BODY_BYTES, false));
    // What is on its way fills socket buffers; more is never asked for.
    assert!(
        sent.load(Ordering::SeqCst) < 64 * 1024 * 1024,
        "{} bytes were taken",
        sent.load(Ordering::SeqCst)
    );
}

#[tokio::test]
async fn a28_a_slow_loris_ends_at_the_deadline_in_its_head_and_in_its_body() {
    for head in ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"] {
        let act = move |mut stream: TcpStream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let (port, _) = serve("127.0.0.2:0", act).await;
        let begun = Instant::now();
        let url = format!("http://public.example:{port}/");
        nothing(ask_within(&names(), &url, true, 300).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a28_a_slow_resolver_ends_at_the_deadline_too() {
    struct Silent;
    impl Resolve for Silent {
        async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
            std::future::pending().await
        }
    }
    let url = Url::parse("http://public.example/").unwrap();
    let request = ProbeRequest { url, timeout: Duration::from_millis(100), follows: false };
    assert!(nothing(ask(&Silent, &[], &request).await).contains("within 0.1 s"));
}

#[tokio::test]
async fn a28_a_flood_of_headers_is_given_up_and_a_long_one_is_cut() {
    let act = |mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-Flood: drop\r\n").await.is_ok() {}
    };
    let (port, _) = serve("127.0.0.2:0", act).await;
    let begun = Instant::now();
    nothing(follow(&names(), &format!("http://public.example:{port}/")).await);
    assert!(begun.elapsed() < Duration::from_secs(4), "it waited for the deadline");
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(100_000));
    let port = answering(long).await;
    let answer = answer(follow(&names(), &format!("http://public.example:{port}/")).await);
    assert!(answer.headers.iter().all(|(_, value)| value.len() <= MAX_HEADER_CHARS));
}

#[tokio::test]
async fn a28_bytes_that_are_no_text_become_text() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nX-Odd: \xff\xfe\r\nContent-Length: 4\r\n\r\n".to_vec();
    bytes.extend(b"a\xff\xfeb");
    let port = answering(bytes).await;
    let answer = answer(follow(&names(), &format!("http://public.example:{port}/")).await);
    assert_eq!(answer.body, "a\u{fffd}\u{fffd}b");
    assert!(answer.headers.contains(&("x-odd".into(), "\u{fffd}\u{fffd}".into())), "{:?}", answer.headers);
}

#[tokio::test]
async fn a28_what_is_compressed_stays_so() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n".to_vec();
    bytes.extend(b"\x1f\x8b\x08");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let act = move |mut stream: TcpStream| {
        let (kept, bytes) = (Arc::clone(&kept), bytes.clone());
        async move {
            let request = read_request(&mut stream).await;
            *kept.lock().unwrap() = request;
            let _ = stream.write_all(&bytes).await;
        }
    };
    let (port, _) = serve("127.0.0.2:0", act).await;
    let answer = answer(follow(&names(), &format!("http://public.example:{port}/")).await);
    assert_eq!(answer.body, "\u{1f}\u{fffd}\u{8}");
    let asked = String::from_utf8_lossy(&asked.lock().unwrap()).to_ascii_lowercase();
    assert!(!asked.contains("accept-encoding"), "{asked}");
}

#[test]
fn a27_only_the_installation_allows_private_addresses() {
    // The only way in is the list of the settings, which a template parameter fills: see `contract_template`.
    let url: Url = "http://10.1.2.3/".parse().unwrap();
    let address: IpAddr = "10.1.2.3".parse().unwrap();
    assert!(guard::check(address, 80, &[]).is_err(), "{url}");
    assert!(guard::check(address, 80, &["10.1.0.0/16".parse().unwrap()]).is_ok());
}
