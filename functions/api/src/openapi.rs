//! The OpenAPI 3.1 document, made from the table of operations and the types that they take and give.

use std::sync::LazyLock;

use pushway_core::api::ProblemDocument;
use pushway_core::fact::JobStage;
use pushway_core::ids::{CommitSha, EnvironmentName, HookId, JobName, PipelineName, RunId, TokenName};
use pushway_core::source::Provider;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::call::MAX_BODY;
use crate::operations::{OPERATIONS, Operation};

/// The document as JSON.
pub(crate) fn document() -> String {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| build().to_string());
    DOCUMENT.clone()
}

fn build() -> Value {
    let settings = |settings: SchemaSettings| {
        settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator()
    };
    // What is given and what is taken may differ in what must be there.
    let mut given = settings(SchemaSettings::draft2020_12().for_serialize());
    let mut taken = settings(SchemaSettings::draft2020_12().for_deserialize());
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS.iter() {
        let at = paths.entry(operation.path).or_insert_with(|| json!({}));
        at[operation.method.as_str().to_lowercase()] = described(operation, &mut given, &mut taken);
    }
    let problem = given.subschema_for::<ProblemDocument>();
    let mut schemas = taken.take_definitions(true);
    schemas.extend(given.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pushway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is deployed where, what happened, why, and what now. Send an API token as bearer, \
                            or sign the request with AWS credentials and put /iam before the path. Every GET gives \
                            an entity tag and takes If-None-Match; every POST that changes something takes \
                            Idempotency-Key, and an order given again under its key is answered as before.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "pushway token create makes one" },
            },
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "What was wrong, and what to do about it (RFC 9457)",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
        },
    })
}

fn described(operation: &Operation, given: &mut SchemaGenerator, taken: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> =
        in_path(operation.path).map(|name| path_parameter(name, taken)).collect();
    if let Some(query) = operation.query {
        parameters.extend(fields(query, taken));
    }
    if operation.changes && !operation.gives_secret {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes the order given again the same order, for a day",
            "schema": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$" },
        }));
    }
    let answer = (operation.answer)(given);
    let good = operation.good.iter().map(|status| {
        let answer =
            json!({ "description": "Done", "content": { (operation.content_type): { "schema": answer } } });
        (status.to_string(), answer)
    });
    let bad = problems(operation)
        .into_iter()
        .map(|status| (status.to_string(), json!({ "$ref": "#/components/responses/Problem" })));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(operation.path)],
        "parameters": parameters,
        "responses": good.chain(bad).collect::<Map<String, Value>>(),
    });
    match operation.scope {
        None => described["security"] = json!([]),
        Some(scope) => described["x-scope"] = json!(scope),
    }
    if operation.method == http::Method::GET {
        described["responses"]["304"] = json!({ "description": "It has not changed since" });
    }
    if let Some(body) = operation.body {
        described["requestBody"] = json!({
            "required": true,
            "description": format!("at most {MAX_BODY} bytes"),
            "content": { "application/json": { "schema": body(taken) } },
        });
    }
    described
}

/// The part of the API that a path belongs to.
fn tag(path: &str) -> &str {
    let path = path.trim_start_matches("/v1");
    path.split('/').nth(1).filter(|part| !part.contains('.')).unwrap_or("about")
}

/// The statuses of its problems.
fn problems(operation: &Operation) -> Vec<u16> {
    let mut statuses = vec![500, 503];
    if operation.scope.is_some() {
        statuses.extend([400, 401, 403]);
    }
    // What its path, query or body names may not be there.
    if operation.path.contains('{') || operation.query.is_some() || operation.body.is_some() {
        statuses.push(404);
    }
    if operation.method == http::Method::POST {
        statuses.extend([409, 413, 415, 422]);
    }
    statuses.sort_unstable();
    statuses
}

/// The names of a path's parameters.
fn in_path(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str, generator: &mut SchemaGenerator) -> Value {
    let schema = match name {
        "run" => generator.subschema_for::<RunId>(),
        "pipeline" => generator.subschema_for::<PipelineName>(),
        "environment" => generator.subschema_for::<EnvironmentName>(),
        "stage" => generator.subschema_for::<JobStage>(),
        "job" => generator.subschema_for::<JobName>(),
        "provider" => generator.subschema_for::<Provider>(),
        "hook" => generator.subschema_for::<HookId>(),
        "commit" => generator.subschema_for::<CommitSha>(),
        "token" => generator.subschema_for::<TokenName>(),
        "number" => generator.subschema_for::<u64>(),
        "badge" => schemars::json_schema!({ "type": "string", "pattern": r"^[a-z0-9-]{1,63}\.svg$" }),
        other => unreachable!("say here what the parameter {other} is"),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

/// The parameters of a query: a struct's fields.
fn fields(query: fn(&mut SchemaGenerator) -> Schema, generator: &mut SchemaGenerator) -> Vec<Value> {
    // The struct itself is spelled out, so it must not stay among the definitions.
    let mut own = SchemaGenerator::new(generator.settings().clone());
    let reference = query(&mut own);
    let definitions = own.take_definitions(true);
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let Some(schema) = name.and_then(|name| definitions.get(name)) else { return Vec::new() };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    for (other, schema) in &definitions {
        if Some(other.as_str()) != name
            && let Ok(schema) = Schema::try_from(schema.clone())
        {
            generator.definitions_mut().insert(other.clone(), schema.to_value());
        }
    }
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": name, "in": "query", "required": required.contains(&json!(name)),
            "description": description, "schema": schema,
        })
    };
    fields.into_iter().map(parameter).collect()
}
