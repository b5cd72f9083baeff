//! The rules of the template: nothing is lost unseen, nothing stands open, and names agree with the code
//! (rows F8, F9; section 5 of the fault list).

use std::collections::BTreeSet;

use pushway_tests::repository::{entries, json, many, pascal, resources, sources, template, text, texts};
use serde_json::Value;

#[test]
fn f8_an_event_that_cannot_be_delivered_is_kept() {
    let template = template();
    assert!(resources(&template, "AWS::Events::Rule").is_empty(), "rules are events of their functions");
    let mut rules = 0;
    for (id, function) in resources(&template, "AWS::Serverless::Function") {
        for (name, event) in function["Events"].as_object().into_iter().flatten() {
            let properties = &event["Properties"];
            if event["Type"] == "DynamoDB" {
                let kept = &properties["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"];
                assert_eq!(kept, "DeadLetters.Arn", "{id} {name}");
                assert_eq!(properties["FunctionResponseTypes"][0], "ReportBatchItemFailures", "{id} {name}");
                assert!(
                    properties["MaximumRetryAttempts"].as_u64().is_some_and(|tries| tries <= 10),
                    "{id} {name}"
                );
                continue;
            }
            assert_eq!(properties["DeadLetterConfig"]["Arn"]["Fn::GetAtt"], "DeadLetters.Arn", "{id} {name}");
            let policy = &properties["RetryPolicy"];
            assert!(policy["MaximumRetryAttempts"].is_u64(), "{id} {name}");
            assert!(policy["MaximumEventAgeInSeconds"].as_u64().is_some_and(|age| age >= 60), "{id} {name}");
            rules += 1;
        }
    }
    assert_eq!(rules, 7);
    let queue = &template["Resources"]["DeadLetters"]["Properties"];
    assert_eq!(queue["SqsManagedSseEnabled"], true);
    assert_eq!(queue["MessageRetentionPeriod"], 14 * 24 * 3600, "the longest SQS knows");
}

#[test]
fn f9_an_event_that_cannot_be_handled_is_kept() {
    let template = template();
    for (id, function) in resources(&template, "AWS::Serverless::Function") {
        let config = &function["EventInvokeConfig"];
        assert_eq!(
            // A stream hands its records over one batch after another, and waits.
            function["Events"]
                .as_object()
                .is_some_and(|events| events.values().any(|e| e["Type"] != "DynamoDB")),
            config.is_object(),
            "{id} is invoked asynchronously, or is not"
        );
        if config.is_object() {
            let target = &config["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"];
            assert_eq!(target, "DeadLetters.Arn", "{id}");
            assert!(
                config["MaximumRetryAttempts"].is_u64() && config["MaximumEventAgeInSeconds"].is_u64(),
                "{id}"
            );
        }
    }
}

#[test]
fn functions_say_their_limits_and_where_they_log() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Handler"], "bootstrap");
    assert_eq!(globals["Tracing"], "Active");
    assert!(globals["MemorySize"].is_u64());
    for name in entries("functions") {
        let id = pascal(&name);
        let function = &template["Resources"][format!("{id}Function")]["Properties"];
        let timeout = function["Timeout"].as_u64().unwrap_or_else(|| panic!("{name} has no Timeout"));
        match name.as_str() {
            "webhook" => assert!(timeout <= 10, "GitHub waits 10 seconds"),
            "api" => assert!(timeout < 30, "an HTTP API waits 30 seconds"),
            _ => assert!(timeout <= 900, "Lambda's longest"),
        }
        assert_eq!(function["LoggingConfig"]["LogFormat"], "JSON", "{name}");
        assert_eq!(function["LoggingConfig"]["LogGroup"]["Ref"], format!("{id}LogGroup"), "{name}");
        let alarm = &template["Resources"][format!("{id}ErrorsAlarm")]["Properties"];
        assert_eq!(alarm["Dimensions"][0]["Value"]["Ref"], format!("{id}Function"), "alarm of {name}");
    }
    for (id, group) in resources(&template, "AWS::Logs::LogGroup") {
        assert_eq!(group["RetentionInDays"]["Ref"], "LogRetentionDays", "{id}");
    }
    for (id, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        assert!(alarm["AlarmDescription"].is_string() && alarm["TreatMissingData"] == "notBreaching", "{id}");
        assert_eq!(alarm["AlarmActions"]["Fn::If"][0], "HasAlarmTopic", "{id}");
    }
}

#[test]
fn f31_whoever_closes_a_run_that_needs_people_raises_the_alarm() {
    let template = template();
    let alarm = &template["Resources"]["PeopleNeededAlarm"]["Properties"];
    let mut listened = BTreeSet::new();
    for (id, filter) in resources(&template, "AWS::Logs::MetricFilter") {
        let pattern = filter["FilterPattern"].as_str().unwrap();
        let words = pattern.split('"').nth(1).unwrap_or_else(|| panic!("{id} listens for no words"));
        let name =
            filter["LogGroupName"]["Ref"].as_str().unwrap().trim_end_matches("LogGroup").to_lowercase();
        assert!(
            sources(&format!("functions/{name}/src")).contains(&format!("{words:?}")),
            "{name} never says {words:?}"
        );
        let metric = &filter["MetricTransformations"][0];
        assert_eq!(
            (&metric["MetricNamespace"], &metric["MetricName"]),
            (&alarm["Namespace"], &alarm["MetricName"]),
            "{id}"
        );
        listened.insert(name);
    }
    let closing = |name: &String| sources(&format!("functions/{name}/src")).contains("finish(ports, ");
    let closing: BTreeSet<String> = entries("functions").into_iter().filter(closing).collect();
    assert_eq!(listened, closing);
}

/// Environment variables of a function, the global ones included.
fn variables(template: &Value, function: &Value) -> BTreeSet<String> {
    let of = |function: &Value| -> Vec<String> {
        let all = function["Environment"]["Variables"].as_object();
        all.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    of(&template["Globals"]["Function"]).into_iter().chain(of(function)).collect()
}

/// The texts in quotes that begin with `PUSHWAY_`.
fn quoted(source: &str) -> BTreeSet<String> {
    let parts = source.split('"').skip(1).step_by(2);
    let is_name = |text: &&str| text.strip_prefix("PUSHWAY_").is_some_and(|rest| !rest.contains(' '));
    parts.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn environment_variables_are_those_the_code_reads() {
    let template = template();
    let settings = text("shared/aws/src/settings.rs");
    let (settings, _) = settings.split_once("#[cfg(test)]").unwrap_or((&settings, ""));
    let mut set = BTreeSet::new();
    for name in entries("functions") {
        let function = &template["Resources"][pascal(&name) + "Function"]["Properties"];
        let variables = variables(&template, function);
        let source = text(format!("functions/{name}/src/lib.rs"));
        let uses = |ports: &[&str]| {
            ports
                .iter()
                .any(|port| source.contains(&format!("{port} +")) || source.contains(&format!("+ {port}")))
        };
        for (variable, ports) in [
            ("PUSHWAY_STATE_MACHINE_ARN", &["StartExecutions", "ReadExecutions"][..]),
            ("PUSHWAY_BUILD_PROJECT", &["StartBuilds"]),
            ("PUSHWAY_ARTIFACTS_BUCKET", &["StartBuilds", "ReadArtifacts"]),
            ("PUSHWAY_VALIDATION_ALLOW", &["Probes"]),
            ("PUSHWAY_TASK_ROLES", &["ReadTargets"]),
            ("PUSHWAY_SCHEDULE_ROLES", &["ReadTargets"]),
            // Who deploys tells ECS whom to ask; a way back asks nobody.
            ("PUSHWAY_HOOK_FUNCTION_ARN", &["CreateServices"]),
            ("PUSHWAY_HOOK_ROLE_ARN", &["CreateServices"]),
            ("PUSHWAY_PRICES", &["InsightSettings"]),
            ("PUSHWAY_PUBLIC_BADGES", &["InsightSettings"]),
            ("PUSHWAY_ISSUER", &["Issuer"]),
        ] {
            assert_eq!(variables.contains(variable), uses(ports), "{variable} of {name}");
        }
        assert!(variables.contains("PUSHWAY_TABLE"), "{name}");
        set.extend(variables);
    }
    assert_eq!(set, quoted(settings), "template.yaml and shared/aws/src/settings.rs");
}

#[test]
fn a27_private_addresses_are_probed_only_where_the_administrator_says_so() {
    let template = template();
    let parameter = &template["Parameters"]["ValidationAllowPrivate"];
    assert_eq!((parameter["Type"].as_str(), parameter["Default"].as_str()), (Some("String"), Some("")));
    for name in entries("functions") {
        let function = &template["Resources"][pascal(&name) + "Function"]["Properties"];
        let allowed = &function["Environment"]["Variables"]["PUSHWAY_VALIDATION_ALLOW"];
        assert!(allowed.is_null() || allowed["Ref"] == "ValidationAllowPrivate", "{name}: {allowed}");
    }
    // And nothing that a repository writes has a say in it.
    assert!(!sources("shared/core/src").contains("allow_private"));
    let schema: Value = serde_json::from_str(pushway_core::pipeline_file::JSON_SCHEMA).unwrap();
    let http = schema["$defs"]["http"]["properties"].as_object().unwrap();
    assert!(http.keys().all(|key| !key.contains("private") && !key.contains("allow")), "{http:?}");
}

#[test]
fn the_table_is_the_one_the_code_uses_and_is_kept() {
    let template = template();
    let resource = &template["Resources"]["Table"];
    assert_eq!(resource["DeletionPolicy"], "Retain");
    assert_eq!(resource["UpdateReplacePolicy"], "Retain");
    let table = &resource["Properties"];
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
    // What a run is said to cost counts a write to each list of runs, and two to the sparse index.
    let indexes = many(&table["GlobalSecondaryIndexes"]);
    let lists = indexes.iter().filter(|index| index["KeySchema"][1]["AttributeName"] == "run_id").count();
    assert_eq!(pushway_core::usage::INDEX_WRITES, lists as u64 + 2);
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");

    let code = sources("shared/aws/src/dynamo");
    let names = |list: &Value| -> BTreeSet<String> {
        many(list).into_iter().filter_map(|item| Some(item["AttributeName"].as_str()?.to_owned())).collect()
    };
    let mut keys = names(&table["KeySchema"]);
    assert_eq!(keys, BTreeSet::from(["pk".to_owned(), "sk".to_owned()]));
    let mut indexes = BTreeSet::new();
    for index in many(&table["GlobalSecondaryIndexes"]) {
        keys.extend(names(&index["KeySchema"]));
        indexes.insert(index["IndexName"].as_str().unwrap().to_owned());
        for attribute in texts(&index["Projection"]["NonKeyAttributes"]) {
            assert!(code.contains(&format!("\"{attribute}\"")), "nobody writes {attribute}");
        }
    }
    assert_eq!(keys, names(&table["AttributeDefinitions"]));
    let ttl = table["TimeToLiveSpecification"]["AttributeName"].as_str().unwrap();
    for attribute in keys.iter().map(String::as_str).chain([ttl]) {
        assert!(code.contains(&format!("\"{attribute}\"")), "nobody writes {attribute}");
    }
    let (_, module) = code.split_once("mod index {").expect("shared/aws/src/dynamo/mod.rs names the indexes");
    let (module, _) = module.split_once("\n}").unwrap();
    let in_code: BTreeSet<String> = module.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(indexes, in_code);
}

#[test]
fn artifacts_lie_in_a_bucket_that_nobody_else_reaches_and_do_not_stay() {
    let template = template();
    let resource = &template["Resources"]["Artifacts"];
    // A bucket that holds something can't be deleted, and would keep the stack from being.
    assert_eq!(resource["DeletionPolicy"], "Retain");
    let bucket = &resource["Properties"];
    let block = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert_eq!(block.len(), 4);
    assert!(block.values().all(|blocked| blocked == true), "{block:?}");
    assert_eq!(bucket["OwnershipControls"]["Rules"][0]["ObjectOwnership"], "BucketOwnerEnforced");
    let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256");
    let rule = &bucket["LifecycleConfiguration"]["Rules"][0];
    assert!(rule["Status"] == "Enabled" && rule["ExpirationInDays"].is_u64(), "{rule}");

    let policy = &template["Resources"]["ArtifactsPolicy"]["Properties"];
    assert_eq!(policy["Bucket"]["Ref"], "Artifacts");
    let statements = many(&policy["PolicyDocument"]["Statement"]);
    let [tls] = statements[..] else { panic!("one statement, which denies: {statements:?}") };
    assert_eq!((&tls["Effect"], &tls["Principal"]), (&Value::from("Deny"), &Value::from("*")));
    assert_eq!(tls["Condition"]["Bool"]["aws:SecureTransport"], false);
    // The exception is the emulator's: addresses that no call to AWS can come from.
    assert_eq!(texts(&tls["Condition"]["NotIpAddress"]["aws:SourceIp"]), ["127.0.0.0/8", "::1/128"]);
    let denied: BTreeSet<&str> = texts(&tls["Action"]).into_iter().collect();
    assert!(["s3:GetObject", "s3:ListBucket", "s3:PutObject"].iter().all(|action| denied.contains(action)));
}

#[test]
fn a32_only_the_webhook_and_the_routes_whose_function_checks_tokens_are_open() {
    let template = template();
    let routes = resources(&template, "AWS::ApiGatewayV2::Route");
    assert_eq!(routes.len(), 3);
    for (id, route) in routes {
        let (key, wanted) = match id {
            "WebhookRoute" => ("POST /webhooks/{provider}/{hook}", "NONE"),
            "ApiRoute" => ("$default", "NONE"),
            _ => ("ANY /iam/{proxy+}", "AWS_IAM"),
        };
        assert_eq!(route["RouteKey"], key);
        assert_eq!(route["AuthorizationType"], wanted, "{id}");
    }
    // No authorizer's answer is kept, so none is taken for another route.
    assert!(resources(&template, "AWS::ApiGatewayV2::Authorizer").is_empty());
    let stage = &template["Resources"]["HttpStage"]["Properties"];
    assert!(stage["DefaultRouteSettings"]["ThrottlingBurstLimit"].is_u64());
    assert!(stage["DefaultRouteSettings"]["ThrottlingRateLimit"].is_u64());
    let format = stage["AccessLogSettings"]["Format"].as_str().unwrap();
    serde_json::from_str::<Value>(format).expect("access logs are JSON");
}

#[test]
fn the_state_machine_shows_no_token() {
    let template = template();
    let pipeline = &template["Resources"]["Pipeline"]["Properties"];
    assert_eq!(pipeline["Type"], "STANDARD");
    assert_eq!(pipeline["Logging"]["IncludeExecutionData"], false);
    assert_eq!(pipeline["Tracing"]["Enabled"], true);
    assert_eq!(pipeline["Name"]["Ref"], "AWS::StackName", "roles name it so");
}

#[test]
fn f17_builds_wait_and_run_for_as_long_as_the_code_says() {
    let template = template();
    let project = &template["Resources"]["BuildProject"]["Properties"];
    assert_eq!(project["TimeoutInMinutes"], 8 * 60);
    assert_eq!(project["QueuedTimeoutInMinutes"], 60);
    assert_eq!(project["Name"]["Ref"], "AWS::StackName", "roles and variables name it so");
    let sample = json("events/build-completed.json");
    let group = &template["Resources"]["BuildLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"];
    let group = group.as_str().unwrap().replace("${AWS::StackName}", "pushway");
    assert_eq!(sample["detail"]["additional-information"]["logs"]["group-name"], group);
}

#[test]
fn a_job_that_names_an_architecture_gets_the_image_that_the_template_names_for_it() {
    let template = text("template.yaml");
    let code = text("shared/aws/src/codebuild/mod.rs");
    let images: Vec<&str> = template.split('"').filter(|part| part.starts_with("aws/codebuild/")).collect();
    assert_eq!(images.len(), 4, "two projects, each with two: {images:?}");
    for image in images {
        assert!(code.contains(&format!("\"{image}\"")), "the code does not know {image}");
    }
}
