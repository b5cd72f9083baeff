//! The credentials a build runs with: a session of the project's service role.
//!
//! On AWS the service assumes the role. Here the emulator's root does, whom it takes for a service; where
//! the trust policy has conditions that only AWS can meet (`aws:SourceArn`), it is widened for the length of
//! one call and put back. A role that does not trust `CodeBuild` is refused, as on AWS. It must never hand
//! out the worker's own credentials.

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Worker, order::Order};
use crate::{AwsError, Emulator};

/// The longest session STS grants, in seconds.
const LONGEST_SESSION: u32 = 43_200;
/// The principal that must be trusted.
const SERVICE: &str = "codebuild.amazonaws.com";
const IAM_VERSION: (&str, &str) = ("Version", "2010-05-08");

/// A client of the emulator that acts as the build's role. `session` names the build.
pub(super) async fn assume(worker: &Worker, order: &Order, session: &str) -> anyhow::Result<Emulator> {
    let emulator = &worker.config.emulator;
    let role = order.service_role.rsplit('/').next().unwrap_or_default();
    let _one_at_a_time = worker.trust.lock().await;
    let own = trust_policy(emulator, role).await?;
    if !trusts_codebuild(&own) {
        bail!("role {} does not trust {SERVICE}; add it to the role's trust policy", order.service_role);
    }
    let credentials = match assume_role(emulator, order, session).await {
        Err(error) if is_denied(&error) => lent(emulator, order, session, role, &own).await?,
        other => other?,
    };
    Emulator::new(emulator.endpoint(), emulator.region(), credentials)
}

fn is_denied(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AwsError>().is_some_and(|aws| aws.code.starts_with("AccessDenied"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResponse {
    assume_role_result: AssumeRoleResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResult {
    credentials: SessionCredentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

async fn assume_role(emulator: &Emulator, order: &Order, session: &str) -> anyhow::Result<Credentials> {
    let seconds = (order.timeout_minutes.saturating_mul(60)).clamp(900, LONGEST_SESSION).to_string();
    let params = [
        ("Version", "2011-06-15"),
        ("RoleArn", &order.service_role),
        ("RoleSessionName", session),
        ("DurationSeconds", &seconds),
    ];
    let xml = query(emulator, "sts", "AssumeRole", &params).await?;
    let answer: AssumeRoleResponse =
        quick_xml::de::from_str(&xml).context("read the answer of AssumeRole")?;
    let it = answer.assume_role_result.credentials;
    Ok(Credentials::from_keys(it.access_key_id, it.secret_access_key, Some(it.session_token)))
}

/// Assumes the role with the worker let into its trust policy, `own`, for the moment.
async fn lent(
    emulator: &Emulator,
    order: &Order,
    session: &str,
    role: &str,
    own: &Value,
) -> anyhow::Result<Credentials> {
    let mut widened = own.clone();
    let lender = json!({
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{}:root", order.account)},
        "Action": "sts:AssumeRole",
    });
    match widened.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.push(lender),
        Some(statement) => *statement = json!([statement.clone(), lender]),
        None => bail!("role {role}: its trust policy has no statement"),
    }
    set_trust_policy(emulator, role, &widened).await?;
    let credentials = assume_role(emulator, order, session).await;
    set_trust_policy(emulator, role, own).await?;
    credentials
}

fn trusts_codebuild(policy: &Value) -> bool {
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    };
    statements.iter().filter(|s| s["Effect"] == "Allow").any(|s| match s.pointer("/Principal/Service") {
        Some(Value::Array(services)) => services.iter().any(|service| service == SERVICE),
        Some(service) => service == SERVICE,
        None => false,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRoleResponse {
    get_role_result: GetRoleResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRoleResult {
    role: RoleShape,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleShape {
    assume_role_policy_document: String,
}

async fn trust_policy(emulator: &Emulator, role: &str) -> anyhow::Result<Value> {
    let xml = query(emulator, "iam", "GetRole", &[IAM_VERSION, ("RoleName", role)]).await?;
    let answer: GetRoleResponse = quick_xml::de::from_str(&xml).context("read the answer of GetRole")?;
    let document = answer.get_role_result.role.assume_role_policy_document;
    // IAM answers the document percent-encoded (RFC 3986); a `+` in it is a plus.
    let encoded = format!("d={}", document.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(encoded.as_bytes()).next().map(|(_, text)| text.into_owned());
    serde_json::from_str(&decoded.unwrap_or_default())
        .with_context(|| format!("role {role}: read its trust policy"))
}

async fn set_trust_policy(emulator: &Emulator, role: &str, policy: &Value) -> anyhow::Result<()> {
    let document = policy.to_string();
    let params = [IAM_VERSION, ("RoleName", role), ("PolicyDocument", &document)];
    query(emulator, "iam", "UpdateAssumeRolePolicy", &params).await.map(drop)
}

/// A Query operation whose future can run on any thread, which builds need.
async fn query(
    emulator: &Emulator,
    service: &str,
    action: &str,
    params: &[(&str, &str)],
) -> anyhow::Result<String> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", action)
        .extend_pairs(params)
        .finish();
    let headers = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let answer = emulator.rest(service, http::Method::POST, "/", form.into_bytes(), &headers).await?;
    String::from_utf8(answer.body).with_context(|| format!("read the answer of {action}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trust_in_codebuild_counts() {
        let policy = |effect: &str, principal: Value| json!({"Statement": [{"Effect": effect, "Principal": principal}]});
        assert!(trusts_codebuild(&policy("Allow", json!({"Service": SERVICE}))));
        assert!(trusts_codebuild(&policy("Allow", json!({"Service": ["lambda.amazonaws.com", SERVICE]}))));
        assert!(trusts_codebuild(
            &json!({"Statement": {"Effect": "Allow", "Principal": {"Service": SERVICE}}})
        ));
        assert!(!trusts_codebuild(&policy("Deny", json!({"Service": SERVICE}))));
        assert!(!trusts_codebuild(&policy("Allow", json!({"Service": "lambda.amazonaws.com"}))));
        assert!(!trusts_codebuild(&policy("Allow", json!("*"))));
        assert!(!trusts_codebuild(&json!({})));
    }
}
