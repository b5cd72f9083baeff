//! What a build brings along, read by the laptop engine's build worker: buildspecs and `JUnit`
//! reports.

use pushway_local::codebuild::{check_buildspec, check_report};

use crate::seeds;

pub(crate) fn junit(input: &[u8]) {
    let _refused = check_report("junit.xml", &String::from_utf8_lossy(input));
}

pub(crate) fn junit_seeds() -> Vec<Vec<u8>> {
    let nested = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="outer"><testsuite name="inner">
<testcase name="adds" classname="math" time="1,000.25"/>
<testcase name="sub &lt;1&gt;"><failure message="want 1">left &amp; right&#33;</failure></testcase>
<testcase name="div"><error><![CDATA[panic <here>]]></error></testcase>
<testcase name="later"><skipped/></testcase><!-- end --></testsuite></testsuite></testsuites>"#;
    let bomb = r#"<!DOCTYPE a [<!ENTITY b "xx"><!ENTITY c "&b;&b;">]><testsuite name="&c;"/>"#;
    vec![nested.into(), bomb.into()]
}

pub(crate) fn buildspec(input: &[u8]) {
    let _refused = check_buildspec("buildspec.yml", &String::from_utf8_lossy(input));
}

pub(crate) fn buildspec_seeds() -> Vec<Vec<u8>> {
    let whole = "version: 0.2\nenv:\n  shell: bash\n  variables: { A: 1, B: \"two\" }\n  parameter-store: { C: /c }\n  \
        exported-variables: [A]\nphases:\n  build:\n    on-failure: CONTINUE\n    commands:\n      - |\n        echo\n    \
        finally: [echo]\n  post_build:\nreports:\n  unit: { files: [\"*.xml\"], discard-paths: yes }\n\
        artifacts: { files: [\"**/*\"] }\n";
    let files = ["examples/hello-ecs/buildspec.yml", "examples/hello-ecs/ci/unit.yml"];
    let mut seeds: Vec<Vec<u8>> = files.into_iter().map(seeds::file).collect();
    seeds.push(whole.into());
    seeds
}
