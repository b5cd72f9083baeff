//! A function's role grants the actions of its ports, and nothing else (rows A38 to A41).

use std::collections::{BTreeMap, BTreeSet};

use pushway_tests::repository::{
    cloudformation, entries, many, pascal, resources, sources, template, text, texts,
};
use serde_json::Value;

/// The actions behind each port. A transaction needs the actions of its items (`DynamoDB` Developer Guide,
/// "IAM with `DynamoDB` transactions").
const PORTS: &[(&str, &[&str])] = &[
    ("Announcements", &["events:PutEvents", "sns:Publish"]),
    ("AuditTrail", &["dynamodb:PutItem", "dynamodb:Query"]),
    ("BranchRecords", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Callbacks", &["states:SendTaskFailure", "states:SendTaskSuccess"]),
    ("Clock", &[]),
    // A comment shows beside what its commit changed, so the commit's parent is asked for.
    (
        "CommitStatuses",
        &["codecommit:GetCommit", "codecommit:PostCommentForComparedCommit", "secretsmanager:GetSecretValue"],
    ),
    (
        "CreateServices",
        &[
            "ecs:CreateService",
            "ecs:DescribeClusters",
            "ecs:TagResource",
            "iam:PassRole",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    ("Deliveries", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Environments", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    // Of a plain git server, what its delivery carried.
    ("Differences", &["codecommit:GetDifferences", "dynamodb:GetItem", "secretsmanager:GetSecretValue"]),
    // A forge is asked with the hook's token.
    (
        "Heads",
        &[
            "codecommit:GetBranch",
            "codecommit:GetCommit",
            "codecommit:GetFolder",
            "secretsmanager:GetSecretValue",
        ],
    ),
    ("Heartbeats", &["states:SendTaskHeartbeat"]),
    // A run whose line in an index does not say enough is read.
    ("History", &["dynamodb:GetItem", "dynamodb:Query"]),
    ("Hooks", &["dynamodb:GetItem"]),
    ("InsightSettings", &[]),
    // Where the issuer's client has a secret.
    ("Issuer", &["secretsmanager:GetSecretValue"]),
    ("ListBranches", &["codecommit:GetBranch", "codecommit:ListBranches", "secretsmanager:GetSecretValue"]),
    ("ListEnvironments", &["dynamodb:BatchGetItem", "dynamodb:Query"]),
    ("ListHooks", &["dynamodb:GetItem", "dynamodb:Query"]),
    ("ListPipelines", &["dynamodb:BatchGetItem", "dynamodb:Query"]),
    ("Notices", &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]),
    (
        "MoveSchedules",
        &[
            "events:ListTargetsByRule",
            "events:PutTargets",
            "iam:PassRole",
            "scheduler:GetSchedule",
            "scheduler:UpdateSchedule",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    (
        "MoveServices",
        &[
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:RegisterTaskDefinition",
            "ecs:StopServiceDeployment",
            "ecs:TagResource",
            "ecs:UpdateService",
            "iam:PassRole",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    ("Orders", &["dynamodb:DeleteItem", "dynamodb:PutItem"]),
    ("Overdue", &["dynamodb:GetItem", "dynamodb:Query"]),
    ("PipelineClaims", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Plans", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Probes", &[]),
    ("ReadAlarms", &["cloudwatch:DescribeAlarms"]),
    // A private repository's forge takes the hook's token.
    ("PullRequests", &["codecommit:GetPullRequest", "secretsmanager:GetSecretValue"]),
    ("Random", &[]),
    // Who may not list is told of a file that is not there as of one that is denied.
    ("ReadArtifacts", &["s3:GetObject", "s3:ListBucket"]),
    ("ReadBuilds", &["codebuild:BatchGetBuilds", "codebuild:BatchGetReports", "codebuild:DescribeTestCases"]),
    // CodeCommit compares no histories; of a plain git server, what its delivery carried.
    ("ReadCommits", &["codecommit:GetCommit", "dynamodb:GetItem", "secretsmanager:GetSecretValue"]),
    (
        "ReadDefinitions",
        &[
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "events:ListTargetsByRule",
            "scheduler:GetSchedule",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    ("ReadDeliveries", &["dynamodb:GetItem"]),
    ("ReadExecutions", &["states:DescribeExecution"]),
    ("ReadImages", &["ecr:DescribeImages"]),
    ("ReadLogs", &["logs:GetLogEvents"]),
    ("ReadMetrics", &["cloudwatch:GetMetricData"]),
    ("ReadRuns", &["dynamodb:GetItem"]),
    // Of what a rule or schedule starts, images, roles and tasks are told, too.
    (
        "ReadSchedules",
        &[
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListTasks",
            "events:ListTargetsByRule",
            "scheduler:GetSchedule",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    (
        "ReadServices",
        &[
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServiceRevisions",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListServiceDeployments",
            "ecs:ListTasks",
            "logs:GetLogEvents",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    (
        "ReadTargets",
        &[
            "ecs:DescribeClusters",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
            "events:DescribeRule",
            "events:ListTargetsByRule",
            "scheduler:GetSchedule",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    ("ReadTestCases", &["dynamodb:GetItem"]),
    ("ReadTasks", &["ecs:DescribeTasks", "sts:AssumeRole", "sts:SetSourceIdentity"]),
    // Which groups a service's tasks are in, its service says.
    (
        "ReadTargetHealth",
        &[
            "ecs:DescribeServices",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
    ),
    ("Reconciliations", &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]),
    // A private file takes the hook's token; a plain git server's file lies in the table.
    (
        "RepositoryFiles",
        &["codecommit:GetFile", "codecommit:GetFolder", "dynamodb:GetItem", "secretsmanager:GetSecretValue"],
    ),
    (
        "RunTasks",
        &[
            "ecs:DescribeServices",
            "ecs:ListTasks",
            "ecs:RunTask",
            "ecs:StopTask",
            "events:ListTargetsByRule",
            "iam:PassRole",
            "scheduler:GetSchedule",
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
        ],
    ),
    ("RunFigures", &["dynamodb:PutItem", "dynamodb:Query"]),
    ("Runs", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("SealingKey", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Secrets", &["secretsmanager:GetSecretValue"]),
    ("Sessions", &["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]),
    ("StartBuilds", &["codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild"]),
    ("StartExecutions", &["states:StartExecution"]),
    ("StopBuilds", &["codebuild:StopBuild"]),
    ("SubscriptionRecords", &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]),
    ("TestCases", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Tokens", &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]),
    ("Waits", &["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]),
    ("Webhooks", &["secretsmanager:GetSecretValue"]),
];

/// Ports that act where a deploy's target lies.
const TARGET_PORTS: &[&str] = &[
    "CreateServices",
    "MoveSchedules",
    "MoveServices",
    "ReadAlarms",
    "ReadDefinitions",
    "ReadMetrics",
    "ReadSchedules",
    "ReadServices",
    "ReadTargetHealth",
    "ReadTargets",
    "ReadTasks",
    "RunTasks",
];

/// To whom roles are passed, and which.
const PASSED: &[(&[&str], &str)] = &[
    (&["ecs-tasks.amazonaws.com"], "TaskRoleArns"),
    (&["events.amazonaws.com", "scheduler.amazonaws.com"], "ScheduleRoleArns"),
];

/// A statement that passes roles does so under one condition, and by name.
fn check_passing(id: &str, statement: &Value) {
    if statement["Resource"]["Fn::GetAtt"] == "CheckHookRole.Arn" {
        let service = &statement["Condition"]["StringEquals"]["iam:PassedToService"];
        let found = (id, &texts(service)[..], &texts(&statement["Action"])[..]);
        assert_eq!(found, ("DeployRole", &["ecs.amazonaws.com"][..], &["iam:PassRole"][..]));
        return;
    }
    let service = &statement["Condition"]["StringEquals"]["iam:PassedToService"];
    let parameter = statement["Resource"]["Ref"].as_str().unwrap_or_default();
    assert!(PASSED.contains(&(&texts(service)[..], parameter)), "{id} passes {parameter} to {service}");
    assert_eq!(texts(&statement["Action"]), ["iam:PassRole"], "{id} passes roles under one condition");
}

/// What a rule is given as a target stays an ECS task.
fn check_putting(id: &str, statement: &Value) {
    let only = statement["Condition"]["ForAllValues:ArnLike"]["events:TargetArn"]["Fn::Sub"].as_str();
    assert!(only.is_some_and(|arn| arn.contains(":ecs:") && arn.contains(":cluster/")), "{id}: {only:?}");
    assert_eq!(texts(&statement["Action"]), ["events:PutTargets"], "{id}");
}

/// What every function may: its log and its traces.
const BASICS: &[&str] =
    &["logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"];

/// What a function may that the table's stream wakes (Lambda Developer Guide, "Using Lambda with DynamoDB").
const STREAM: &[&str] =
    &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

/// What a function may whose failed events are kept.
const ON_FAILURE: &str = "sqs:SendMessage";

/// Actions that know no resources, or none that is known beforehand.
const ANY_RESOURCE: &[&str] = &[
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "dynamodb:ListStreams",
    "ecr:DescribeRepositories",
    "ecr:GetAuthorizationToken",
    // The laptop engine knows no resource for it.
    "ecs:DescribeClusters",
    "ecs:DescribeTaskDefinition",
    "ecs:ListTasks",
    "ecs:RegisterTaskDefinition",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "states:SendTaskFailure",
    "states:SendTaskHeartbeat",
    "states:SendTaskSuccess",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
];

/// The ports in the bounds of a function's `handle`; one that takes very many has a name for them.
fn ports(name: &str) -> BTreeSet<String> {
    let source = text(format!("functions/{name}/src/lib.rs"));
    let list =
        |list: &str| list.split('+').map(|port| port.trim().trim_end_matches(',').to_owned()).collect();
    if let Some((_, named)) = source.split_once("\n    pub Ports:\n") {
        assert!(source.contains("pub async fn handle<P: Ports>("), "{name}");
        return list(named.split_once('}').unwrap_or_else(|| panic!("{name}: the list has no end")).0);
    }
    let (_, handle) =
        source.split_once("pub async fn handle<P>").unwrap_or_else(|| panic!("{name}: no handle<P>"));
    let (head, _) = handle.split_once("\n{").unwrap_or_else(|| panic!("{name}: handle has no body"));
    let (_, bounds) = head.split_once("P:").unwrap_or_else(|| panic!("{name}: handle has no bounds"));
    list(bounds)
}

fn actions_of(port: &str) -> &'static [&'static str] {
    PORTS.iter().find(|(name, _)| *name == port).unwrap_or_else(|| panic!("what does port {port} take?")).1
}

/// The statements of a role: its own and those of managed policies of this template.
fn statements<'t>(template: &'t Value, role: &'t Value) -> Vec<&'t Value> {
    let managed = many(&role["ManagedPolicyArns"]).into_iter().map(|arn| {
        let id = arn["Ref"].as_str().expect("managed policies are this template's own");
        &template["Resources"][id]["Properties"]["PolicyDocument"]
    });
    let own = many(&role["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
    own.chain(managed).flat_map(|document| many(&document["Statement"])).collect()
}

fn granted<'t>(statements: &[&'t Value]) -> BTreeSet<&'t str> {
    let allows = statements.iter().filter(|statement| statement["Effect"] == "Allow");
    allows.flat_map(|statement| texts(&statement["Action"])).collect()
}

fn roles(template: &Value) -> BTreeMap<&str, &Value> {
    resources(template, "AWS::IAM::Role").into_iter().collect()
}

#[test]
fn a_role_grants_what_its_functions_ports_take() {
    let template = template();
    let roles = roles(&template);
    for name in entries("functions") {
        let mut wanted: BTreeSet<&str> =
            ports(&name).iter().flat_map(|port| actions_of(port)).copied().collect();
        wanted.extend(BASICS);
        let function = &template["Resources"][pascal(&name) + "Function"]["Properties"];
        let sources = function["Events"].as_object();
        let is_woken_by_stream =
            sources.is_some_and(|events| events.values().any(|event| event["Type"] == "DynamoDB"));
        if is_woken_by_stream {
            wanted.extend(STREAM);
        }
        if function.get("EventInvokeConfig").is_some() || is_woken_by_stream {
            wanted.insert(ON_FAILURE);
        }
        let role = roles[(pascal(&name) + "Role").as_str()];
        assert_eq!(
            granted(&statements(&template, role)),
            wanted,
            "role of {name} and its ports {:?}",
            ports(&name)
        );
    }
}

#[test]
fn the_code_calls_what_ports_are_said_to_take() {
    let source = sources("shared/aws/src");
    // The one is what ECS asks for on behalf of a call, the other what tags in a call take.
    // A call that assumes a role with a source identity sets it.
    // What lists a bucket is told whether a file is there.
    let implied = ["iam:PassRole", "ecs:TagResource", "s3:ListBucket", "sts:SetSourceIdentity"];
    let actions: BTreeSet<&str> = PORTS.iter().flat_map(|(_, actions)| *actions).copied().collect();
    for action in actions.iter().filter(|action| !implied.contains(action)) {
        let (_, operation) = action.split_once(':').expect("an action has a service");
        let call = operation.chars().fold(String::new(), |name, c| match c {
            'A'..='Z' if !name.is_empty() => format!("{name}_{}", c.to_ascii_lowercase()),
            c => format!("{name}{}", c.to_ascii_lowercase()),
        });
        assert!(
            source.contains(&format!(".{call}(")) || source.contains(operation),
            "nothing in shared/aws calls {action}"
        );
    }
}

#[test]
fn every_port_is_listed() {
    let source = sources("shared/core/src/ports");
    let declared: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub trait ")?.split_once(':').map(|(name, _)| name))
        .collect();
    assert_eq!(declared, PORTS.iter().map(|(name, _)| *name).collect());
}

#[test]
fn every_port_that_is_told_a_place_acts_there() {
    let source = sources("shared/core/src/ports");
    let places = ["Place", "ServiceRef", "StarterRef", "TaskRef", "TaskRequest"];
    let told: BTreeSet<&str> = source
        .split("\npub trait ")
        .skip(1)
        .filter_map(|port| {
            let (name, rest) = port.split_once(':')?;
            let (verbs, _) = rest.split_once("\n}")?;
            places.iter().any(|place| verbs.contains(&format!(": &{place}"))).then_some(name)
        })
        // Claims of services lie in the installation's own table.
        .filter(|name| *name != "Environments")
        .collect();
    assert_eq!(told, TARGET_PORTS.iter().copied().collect());
}

#[test]
fn a40_no_action_is_a_pattern_and_few_take_any_resource() {
    let template = template();
    for (id, role) in roles(&template) {
        for statement in statements(&template, role) {
            assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none(), "{id}");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{id} grants the pattern {action}");
                if texts(&statement["Resource"]).contains(&"*") {
                    assert!(ANY_RESOURCE.contains(&action), "{id} grants {action} on everything");
                }
            }
        }
    }
    for (id, policy) in resources(&template, "AWS::SQS::QueuePolicy") {
        let actions =
            many(&policy["PolicyDocument"]["Statement"]).into_iter().flat_map(|s| texts(&s["Action"]));
        assert!(actions.into_iter().all(|action| !action.contains('*')), "{id}");
    }
}

#[test]
fn a40_roles_are_passed_to_tasks_and_what_starts_them_only_and_by_name() {
    let template = template();
    let (mut passing, mut putting) = (0, 0);
    for (id, role) in roles(&template) {
        for statement in statements(&template, role) {
            if texts(&statement["Action"]).contains(&"iam:PassRole") {
                passing += 1;
                check_passing(id, statement);
            }
            if texts(&statement["Action"]).contains(&"events:PutTargets") {
                putting += 1;
                check_putting(id, statement);
            }
        }
    }
    assert_eq!((passing, putting), (5, 2), "deploy and rollback, and deploy once more for ECS to ask");
    // By that role ECS may ask, and nothing else.
    let asking = statements(&template, roles(&template)["CheckHookRole"]);
    assert_eq!(granted(&asking), BTreeSet::from(["lambda:InvokeFunction"]));
    assert_eq!(asking[0]["Resource"]["Fn::GetAtt"], "ValidateFunction.Arn");
    for (parameter, words) in [
        ("TaskRoleArns", &["Task", "Execution"][..]),
        ("ScheduleRoleArns", &["EventsRole", "SchedulerRole", "Amazon_EventBridge"]),
    ] {
        let default = template["Parameters"][parameter]["Default"].as_str().unwrap();
        for arn in default.split(',') {
            let (_, name) = arn.split_once(":role/").unwrap_or_else(|| panic!("{arn} is no role's"));
            assert!(words.iter().any(|word| name.contains(word)), "{arn} is any role's");
        }
    }
    // The sweep's own schedule must not be one that a deploy can write.
    let id = "ScheduleRole";
    assert!(roles(&template).contains_key(id) && !id.contains("SchedulerRole"));
}

#[test]
fn a40_a_build_may_nothing_of_pushway() {
    let template = template();
    let statements = statements(&template, roles(&template)["BuildRole"]);
    let granted = granted(&statements);
    for action in &granted {
        let (service, operation) = action.split_once(':').unwrap();
        let is_for_builds = match service {
            "logs" | "ecr" => true,
            "codebuild" => operation.contains("Report") || operation.starts_with("BatchPut"),
            "codecommit" => operation == "GitPull",
            "secretsmanager" => operation == "GetSecretValue",
            "ssm" => operation == "GetParameters",
            "s3" => ["GetBucketAcl", "GetBucketLocation", "PutObject"].contains(&operation),
            _ => false,
        };
        assert!(is_for_builds, "a build may {action}");
    }
    assert!(!["ecr:DeleteRepository", "ecr:BatchDeleteImage"].iter().any(|action| granted.contains(action)));
    let denied =
        statements.iter().find(|statement| statement["Effect"] == "Deny").expect("signing keys are denied");
    let resource = denied["Resource"]["Fn::Sub"].as_str().unwrap();
    assert!(resource.ends_with(":secret:pushway/*"), "{resource}");
}

#[test]
fn a42_artifacts_are_written_by_trusted_builds_and_read_by_who_settles_them() {
    let template = template();
    let run = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let job = pushway_core::fact::JobId {
        stage: pushway_core::fact::JobStage::Build,
        name: "image".parse().unwrap(),
    };
    let folder = pushway_core::image_file::folder(run, &job, 1);
    let (root, _) = folder.split_once('/').unwrap();
    let wanted = format!("${{Artifacts.Arn}}/{root}/*");
    let mut found = BTreeSet::new();
    for (id, role) in roles(&template) {
        for statement in statements(&template, role) {
            for action in texts(&statement["Action"]).into_iter().filter(|action| action.starts_with("s3:")) {
                found.insert((id, action));
                if action.ends_with("Object") {
                    assert_eq!(statement["Resource"]["Fn::Sub"], wanted.as_str(), "{id}: {action}");
                } else {
                    assert_eq!(statement["Resource"]["Fn::GetAtt"], "Artifacts.Arn", "{id}: {action}");
                }
            }
        }
    }
    let expected = [
        ("BuildCompletedRole", "s3:GetObject"),
        ("BuildCompletedRole", "s3:ListBucket"),
        ("BuildRole", "s3:GetBucketAcl"),
        ("BuildRole", "s3:GetBucketLocation"),
        ("BuildRole", "s3:PutObject"),
        ("SweepRole", "s3:GetObject"),
        ("SweepRole", "s3:ListBucket"),
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn a19_a22_a_build_of_code_that_nobody_has_merged_may_write_its_log_and_its_test_results_only() {
    let template = template();
    let untrusted = &template["Resources"]["UntrustedProject"]["Properties"];
    assert_eq!(untrusted["ServiceRole"]["Fn::GetAtt"], "UntrustedRole.Arn");
    assert_eq!(untrusted["Environment"]["PrivilegedMode"], false, "no Docker daemon");
    // Nothing that an unmerged build leaves behind is ever read by another one: neither project has a cache,
    // no build is given one, and logs and reports have names of their own.
    assert_eq!(untrusted["Cache"]["Type"], "NO_CACHE");
    assert!(template["Resources"]["BuildProject"]["Properties"].get("Cache").is_none());
    assert!(!sources("shared/aws/src/codebuild").contains("cache_override"));
    let roles = roles(&template);
    let trusted_with = |role: &str| statements(&template, roles[role]);
    let resources_of = |statements: Vec<&Value>| -> BTreeSet<String> {
        let of = |statement: &Value| {
            many(&statement["Resource"]).into_iter().map(|arn| arn["Fn::Sub"].clone()).collect::<Vec<_>>()
        };
        statements.into_iter().flat_map(of).filter_map(|arn| Some(arn.as_str()?.to_owned())).collect()
    };
    let statements = trusted_with("UntrustedRole");
    for action in granted(&statements) {
        let is_harmless = ["logs:CreateLogStream", "logs:PutLogEvents"].contains(&action)
            || action.starts_with("codebuild:")
                && (action.contains("Report") || action.ends_with("PutTestCases"));
        assert!(is_harmless, "unmerged code may {action}");
    }
    let own = resources_of(statements);
    assert!(own.iter().all(|arn| arn.contains("${AWS::StackName}-untrusted")), "{own:?}");
    assert!(own.is_disjoint(&resources_of(trusted_with("BuildRole"))));
}

#[test]
fn a41_only_this_account_can_make_services_act() {
    let template = template();
    for (id, role) in roles(&template) {
        for statement in many(&role["AssumeRolePolicyDocument"]["Statement"]) {
            let service = statement["Principal"]["Service"].as_str().expect("a service assumes the role");
            // Lambda gives no source when it assumes an execution role, nor is ECS documented to.
            if !["lambda.amazonaws.com", "ecs.amazonaws.com"].contains(&service) {
                let account = &statement["Condition"]["StringEquals"]["aws:SourceAccount"];
                assert_eq!(account["Ref"], "AWS::AccountId", "trust of {id}");
            }
        }
    }
    for (id, permission) in resources(&template, "AWS::Lambda::Permission") {
        assert!(permission.get("SourceArn").is_some(), "{id} names no source");
    }
}

#[test]
fn a41_other_accounts_roles_are_assumed_by_name_and_none_by_default() {
    let template = template();
    let default = template["Parameters"]["TargetRoleArns"]["Default"].as_str().unwrap();
    assert!(!default.contains('*') && default.contains("::000000000000:"), "{default}");
    let mut assuming = Vec::new();
    for (id, role) in roles(&template) {
        for statement in statements(&template, role) {
            if texts(&statement["Action"]).iter().any(|action| action.starts_with("sts:")) {
                assert_eq!(texts(&statement["Action"]), ["sts:AssumeRole", "sts:SetSourceIdentity"], "{id}");
                assert_eq!(statement["Resource"]["Ref"], "TargetRoleArns", "{id}");
                assuming.push(id);
            }
        }
    }
    assert_eq!(
        assuming,
        [
            "DeployProgressRole",
            "DeployRole",
            "LockRole",
            "PlanRole",
            "RollbackRole",
            "SweepRole",
            "ValidateRole"
        ]
    );
}

/// What the role of another account may, and the account's own template (see `target-account.yaml`).
#[test]
fn a41_the_target_accounts_role_trusts_one_installation_and_grants_what_a_deploy_takes() {
    let template = cloudformation("target-account.yaml");
    let roles = roles(&template);
    let role = roles["Role"];
    assert_eq!(roles.len(), 1);
    assert_eq!(template["Resources"].as_object().unwrap().len(), 1);
    let trust = many(&role["AssumeRolePolicyDocument"]["Statement"]);
    assert_eq!(trust.len(), 2);
    for statement in trust {
        let condition = &statement["Condition"];
        let from = condition["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"].as_str().unwrap();
        assert!(from.ends_with("::${InstallationAccount}:role/${InstallationStack}-*"), "{from}");
        assert_eq!(condition["StringLike"]["sts:SourceIdentity"]["Ref"], "Pipelines");
        match texts(&statement["Action"])[..] {
            ["sts:AssumeRole"] => {
                assert_eq!(condition["StringEquals"]["sts:ExternalId"]["Ref"], "ExternalId");
            }
            ["sts:SetSourceIdentity"] => {}
            ref other => panic!("it trusts anyone with {other:?}"),
        }
    }
    // An external id that has a default is everybody's.
    assert!(template["Parameters"]["ExternalId"].get("Default").is_none());

    let statements = statements(&template, role);
    let ports = TARGET_PORTS.iter().flat_map(|port| actions_of(port));
    let wanted: BTreeSet<&str> = ports.copied().filter(|action| !action.starts_with("sts:")).collect();
    assert_eq!(granted(&statements), wanted);
    for statement in statements {
        for action in texts(&statement["Action"]) {
            let anywhere = texts(&statement["Resource"]).contains(&"*");
            assert!(!anywhere || ANY_RESOURCE.contains(&action), "{action} on everything");
            if action == "iam:PassRole" {
                check_passing("the target's role", statement);
            }
            if action == "events:PutTargets" {
                check_putting("the target's role", statement);
            }
            let resource = statement["Resource"]["Fn::Sub"].as_str().unwrap_or_default();
            if ["ecs:CreateService", "ecs:DescribeServices", "ecs:UpdateService", "ecs:DescribeTasks"]
                .contains(&action)
            {
                assert!(resource.ends_with("/${Cluster}/*"), "{action} on {resource}");
            }
        }
    }
    let here = pushway_tests::repository::template();
    for (_, parameter) in PASSED {
        let default = |template: &Value| template["Parameters"][parameter]["Default"].clone();
        assert_eq!(default(&template), default(&here), "{parameter}");
    }
}

#[test]
fn the_log_that_is_read_is_the_one_that_builds_write() {
    let template = template();
    let group = &template["Resources"]["BuildLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"];
    let group = format!(":log-group:{}", group.as_str().unwrap());
    for name in ["BuildRole", "BuildCompletedRole", "SweepRole", "ApiRole"] {
        let statements = statements(&template, roles(&template)[name]);
        let about_builds = statements.iter().any(|statement| {
            let actions = texts(&statement["Action"]);
            let resources = many(&statement["Resource"]);
            let of_group =
                |resource: &&Value| resource["Fn::Sub"].as_str().is_some_and(|arn| arn.contains(&group));
            actions.iter().any(|action| action.starts_with("logs:")) && resources.iter().any(of_group)
        });
        assert!(about_builds, "{name} can't reach {group}");
    }
}
