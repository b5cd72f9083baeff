//! What a large or dishonest body costs in memory, measured in a process of its own (row A10).
//!
//! The webhook runs under a limit of its address space, as a function of Lambda does under its memory. What
//! each delivery needed beyond itself is the growth of the process' resident peak, as Linux counts it.

use std::process::Command;

use base64::Engine as _;
use pushway_core::ports::Clock as _;
use pushway_core::source::Provider;
use pushway_core::testing::World;
use pushway_tests::forges::deliveries::{SAMPLES, post, world};
use pushway_tests::sim::block_on;
use pushway_tests::sim::story::{Post, SECRET};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const MIB: usize = 1024 * 1024;
/// The largest body taken.
const CAP: usize = 5 * MIB;
/// What the process may have on top of what it has when the test begins.
const ALLOWANCE: usize = 128 * MIB;
/// What refusing a body may cost beyond the body: answers, logs, and what the allocator rounds up to.
const REFUSAL: usize = MIB;

/// A number of `/proc/self/status`, in bytes.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of its processes");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is there");
    let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    number.parse::<usize>().expect("it is a number") * 1024
}

/// What handling a delivery came to: its status, and by how much memory grew meanwhile, at its peak.
fn measured(world: &World, post: &Post) -> (i64, usize) {
    let request = post.request();
    // proc_pid_clear_refs(5): 5 sets the peak back to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be set back");
    let before = status("VmRSS");
    let response = block_on(webhook::handle(world, request)).expect("it answers");
    (response.status_code, status("VmHWM").saturating_sub(before))
}

/// GitHub's delivery of these bytes with the right signature over them, as API Gateway hands them on.
fn signed(world: &World, bytes: &[u8], is_base64: bool) -> Post {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let mut delivery = post(Provider::Github, "web", "push", "d1", SECRET, text, world.now());
    if is_base64 {
        let key = pushway_core::signature::Secret::new(SECRET).expect("it is not empty");
        let signature = pushway_core::signature::sign_github(&key, bytes);
        let headers = delivery.headers.iter_mut().filter(|(name, _)| name == "x-hub-signature-256");
        headers.for_each(|(_, value)| value.clone_from(&signature));
        delivery.body = base64::engine::general_purpose::STANDARD.encode(bytes);
        delivery.is_base64 = true;
    }
    delivery
}

/// A gzip stream that unpacks to a gigabyte of zeros, cut where it is a megabyte long: nobody may unpack it.
fn bomb() -> Vec<u8> {
    // RFC 1952: magic, deflate, no flags, no time, no extra, unknown system.
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // RFC 1951: one block of fixed codes; a zero, and then copies of 258 zeros (10 bits each) without end.
    bytes.extend(std::iter::repeat_n([0x63, 0x60, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x8c], MIB / 8).flatten());
    bytes
}

#[test]
#[ignore = "run by a10_memory_is_bounded_whatever_a_body_is_or_claims, in a process of its own"]
fn child() {
    let world = world();
    // Whatever is made on first use is made by one ordinary delivery.
    let usual = SAMPLES
        .iter()
        .find(|sample| sample.provider == Provider::Github)
        .expect("a sample")
        .post(&world, "d0");
    assert!(matches!(measured(&world, &usual).0, 200 | 202));
    let most = u64::try_from(status("VmSize") + ALLOWANCE).expect("it fits");
    let limit = getrlimit(Resource::As);
    setrlimit(Resource::As, Rlimit { current: Some(most), maximum: limit.maximum }).expect("less is allowed");
    let before = world.call_count();

    // Over the cap by one byte and by far, whatever the headers claim: refused before anything is done with it.
    for size in [CAP + 1, CAP + 3, 25 * MIB] {
        for is_base64 in [false, true] {
            let mut large = signed(&world, &vec![b' '; size], is_base64);
            for (name, lie) in
                [("content-length", "2"), ("transfer-encoding", "chunked"), ("content-encoding", "gzip")]
            {
                large.headers.push((name.into(), lie.into()));
            }
            let (status, grown) = measured(&world, &large);
            // One byte more hides in base64's last three: it is found out by decoding, into the cap and no more.
            let most = if is_base64 && size < CAP + 3 { CAP + REFUSAL } else { REFUSAL };
            assert!(
                status == 413 && grown <= most,
                "{size}, base64: {is_base64}: {status}, {grown} bytes more"
            );
        }
    }
    assert_eq!(world.call_count(), before, "nothing was asked for them");

    // Hashed before it is parsed: without the secret nobody learns that the body is no JSON.
    for (body, is_base64) in [(vec![b'['; CAP], false), (vec![b'['; CAP], true), (bomb(), true)] {
        let mut forged = signed(&world, &body, is_base64);
        forged.headers.push(("content-encoding".into(), "gzip".into()));
        forged.headers.iter_mut().filter(|(name, _)| name == "x-hub-signature-256").for_each(|(_, value)| {
            *value = format!("sha256={}", "0".repeat(64));
        });
        let (status, grown) = measured(&world, &forged);
        assert!(status == 401 && grown <= body.len() + REFUSAL, "{status}, {grown} bytes more");
    }

    // Signed, and still nobody unpacks it, goes down into it or keeps what it lists.
    let commits = format!("{{\"commits\":[{}0]}}", "0,".repeat(CAP / 2 - 10));
    for (body, is_base64) in [(bomb(), true), (vec![b'['; CAP], false), (commits.into_bytes(), false)] {
        let (status, grown) = measured(&world, &signed(&world, &body, is_base64));
        assert!(status == 400 && grown <= body.len() + REFUSAL, "{status}, {grown} bytes more");
    }
    assert!(!world.runs().iter().any(|run| run.source.delivery.as_str() == "d1"));
}

#[test]
fn a10_memory_is_bounded_whatever_a_body_is_or_claims() {
    let own = std::env::current_exe().expect("this program is there");
    let output = Command::new(own).args(["--ignored", "--exact", "child", "--nocapture"]).output();
    let output = output.expect("it can be started again");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
