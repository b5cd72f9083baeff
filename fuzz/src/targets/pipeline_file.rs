//! The pipeline file: any text is answered with a plan within its limits, or with problems within theirs.

use pushway_core::ids::RefName;
use pushway_core::pipeline_file::{Occasion, PipelineFile, Problems, parse};
use pushway_core::plan::Plan;

use crate::seeds;

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match parse("pushway.yml", &text) {
        Ok(file) => check_plan(&file),
        Err(problems) => check_problems(&problems),
    }
}

fn check_plan(file: &PipelineFile) {
    let text = serde_json::to_string(&file.plan).unwrap_or_else(|error| panic!("{error}"));
    assert!(text.len() <= 128 * 1024, "the plan is {} bytes", text.len());
    let read: Plan = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read, file.plan, "what is pinned must be read back as it was");
    for pushed in ["refs/heads/main", "refs/heads/release/1/x", "refs/tags/v1.0", "refs/notes/commits"] {
        let _decision = pushed.parse::<RefName>().map(|pushed| file.on.decide(&Occasion::Push(&pushed)));
    }
}

fn check_problems(problems: &Problems) {
    assert!((1..=20).contains(&problems.problems.len()), "{problems:?}");
    let size = serde_json::to_string(problems).map_or(usize::MAX, |text| text.len());
    assert!(size <= 8 * 1024, "the problems are {size} bytes");
    for problem in &problems.problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem:?}");
        assert!(problem.excerpt.chars().count() <= 160, "{problem:?}");
    }
    let shown = problems.to_string();
    assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let files = ["shared/core/tests/pipeline_file/good.yml", "examples/hello-ecs/pushway.yml"];
    let mut seeds: Vec<Vec<u8>> = files.into_iter().map(seeds::file).collect();
    seeds.push(pushway_tests::sim::story::PIPELINE.into());
    seeds.push(b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n".to_vec());
    seeds
}
