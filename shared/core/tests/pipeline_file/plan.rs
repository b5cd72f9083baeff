//! What a good file means.

use pushway_core::ids::{EnvironmentName, JobName};
use pushway_core::plan::{Concurrency, JobStage, Plan, SecretRef};

use super::{GOOD, changed, read};

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn a_job_has_what_the_file_says() {
    insta::assert_snapshot!(json(&read(GOOD).plan.build), @r#"
    [
      {
        "name": "image",
        "buildspec": "buildspec.yml",
        "image": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
        "compute": "medium",
        "arch": "arm64",
        "timeout_seconds": 5400,
        "retries": 1,
        "needs": [],
        "outputs": [
          "IMAGE"
        ],
        "reports": [],
        "env": {
          "LOG_LEVEL": "info",
          "REGION": "eu"
        },
        "secrets": {
          "KEY": "ssm:/web/key",
          "TOKEN": "secretsmanager:npm"
        }
      }
    ]
    "#);
}

#[test]
fn a_job_that_says_little_has_the_defaults_and_the_variables_of_the_pipeline() {
    insta::assert_snapshot!(json(&read(GOOD).plan.test), @r#"
    [
      {
        "name": "unit",
        "buildspec": "ci/unit.yml",
        "image": null,
        "compute": "small",
        "arch": null,
        "timeout_seconds": 1200,
        "retries": 0,
        "needs": [],
        "outputs": [],
        "reports": [],
        "env": {
          "LOG_LEVEL": "debug",
          "REGION": "eu"
        },
        "secrets": {}
      }
    ]
    "#);
}

#[test]
fn an_environment_has_what_the_file_says() {
    insta::assert_snapshot!(json(&read(GOOD).plan.environments[0]), @r##"
    {
      "name": "staging",
      "target": {
        "ecs": {
          "cluster": "demo",
          "service": "web-staging",
          "images": {
            "web": {
              "output": {
                "job": "image",
                "output": "IMAGE"
              }
            }
          },
          "strategy": "rolling",
          "timeout_seconds": 600
        }
      },
      "validate": [
        {
          "http": {
            "url": "https://staging.example.com/healthz",
            "status": 204,
            "body_contains": "ok",
            "header": {
              "content-type": "json"
            },
            "json": {
              "/db/ready": "true"
            },
            "latency": {
              "percentile": 90,
              "below_millis": 500
            },
            "version": {
              "header": {
                "name": "x-version",
                "equals": "0123456789abcdef0123456789abcdef01234567"
              }
            },
            "follow": true,
            "attempts": 20,
            "need": 5,
            "interval_seconds": 10,
            "timeout_seconds": 2
          }
        }
      ],
      "watch": {
        "for_seconds": 300,
        "alarms": [
          "web-5xx 01234567"
        ]
      },
      "on_failure": "hold"
    }
    "##);
}

#[test]
fn an_environment_that_says_little_has_the_defaults() {
    insta::assert_snapshot!(json(&read(GOOD).plan.environments[1]), @r##"
    {
      "name": "production",
      "target": {
        "ecs": {
          "cluster": "demo",
          "service": "web",
          "images": {
            "web": {
              "output": {
                "job": "image",
                "output": "IMAGE"
              }
            }
          },
          "strategy": "as_configured",
          "timeout_seconds": 900
        }
      },
      "validate": [
        {
          "http": {
            "url": "http://web.internal/",
            "status": 200,
            "body_contains": null,
            "attempts": 10,
            "need": 3,
            "interval_seconds": 5,
            "timeout_seconds": 5
          }
        }
      ],
      "on_failure": "rollback"
    }
    "##);
}

#[test]
fn a_plan_outlives_the_program_that_wrote_it() {
    let plan = read(GOOD).plan;
    assert_eq!(serde_json::from_str::<Plan>(&json(&plan)).unwrap(), plan);
    let old =
        r#"{"pipeline":"web","test":[{"name":"unit","buildspec":"b.yml","timeout_seconds":60}],"newer":1}"#;
    assert_eq!(serde_json::from_str::<Plan>(old).unwrap().test[0].env.len(), 0);
}

#[test]
fn the_digest_follows_the_meaning_of_the_file_and_not_its_looks() {
    let digest = |text: &str| read(text).plan.digest();
    // Pinned, because runs keep it: a change here needs a reason.
    insta::assert_snapshot!(digest(GOOD), @"sha256:ad1e95bc6f9a0c51b0809369b87fcc5d6da02d598868c259a64d0a86e1a0e031");
    assert_eq!(digest(&changed("timeout: 1h30m", "timeout: 90m # minutes")), digest(GOOD));
    assert_eq!(
        digest(&changed("{ LOG_LEVEL: info, REGION: \"eu\" }", "{ REGION: eu, LOG_LEVEL: info }")),
        digest(GOOD)
    );
    assert_ne!(digest(&changed("timeout: 1h30m", "timeout: 91m")), digest(GOOD));
}

#[test]
fn anchors_and_merge_keys_save_typing() {
    let text = changed(
        "  unit: { buildspec: ci/unit.yml, env: { LOG_LEVEL: debug } }",
        "  unit: &job { buildspec: ci/unit.yml, compute: large }\n  slow: { <<: *job, timeout: 2h }",
    );
    let plan = read(&text).plan;
    let slow = plan.job(JobStage::Test, &"slow".parse::<JobName>().unwrap()).unwrap();
    assert_eq!((slow.buildspec.as_str(), slow.timeout_seconds), ("ci/unit.yml", 7200));
}

#[test]
fn an_image_may_be_fixed_by_digest() {
    let image = format!("registry.example.com/web@sha256:{}", "0a".repeat(32));
    let plan = read(&changed("\"${build.image.IMAGE}\"", &image)).plan;
    let staging = plan.environment(&"staging".parse::<EnvironmentName>().unwrap()).unwrap();
    assert!(serde_json::to_string(staging).unwrap().contains(&format!(r#"{{"fixed":"{image}"}}"#)));
}

#[test]
fn yaml_1_1_habits_do_not_turn_words_into_booleans() {
    let plan = read(&changed("REGION: \"eu\"", "REGION: no, ANSWER: yes, SWITCH: on")).plan;
    let values: Vec<_> = plan.build[0].env.values().map(String::as_str).collect();
    assert_eq!(values, ["yes", "info", "no", "on"]);
}

#[test]
fn a_secret_is_named_by_its_store_and_never_repeated_when_it_is_not() {
    for good in ["secretsmanager:npm", "secretsmanager:team/npm@1:token", "ssm:/web/key"] {
        assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "npm",
        "ssm:",
        "ssm:a:b",
        "secretsmanager:",
        "secretsmanager:a:",
        "secretsmanager:a:b:c",
        "vault:x",
        "ssm:$(id)",
    ] {
        let error = bad.parse::<SecretRef>().unwrap_err().to_string();
        assert!(bad.is_empty() || !error.contains(&format!("{bad:?}")), "{error}");
    }
}

#[test]
fn the_plan_of_untrusted_code_has_no_secret_and_deploys_nothing() {
    let plan = read(GOOD).plan.for_untrusted();
    assert!(plan.environments.is_empty());
    assert_eq!((plan.build.len(), plan.test.len()), (1, 1));
    assert!(plan.build.iter().chain(&plan.test).all(|job| job.secrets.is_empty()));
}

#[test]
fn concurrency_is_one_of_three_and_parallel_by_itself() {
    let concurrency = |word: &str| {
        read(&changed("version: 1", &format!("version: 1\nconcurrency: {word}"))).plan.concurrency
    };
    assert_eq!(read(GOOD).plan.concurrency, Concurrency::Parallel);
    assert_eq!(concurrency("queued"), Concurrency::Queued);
    assert_eq!(concurrency("superseded"), Concurrency::Superseded);
}
