//! The document of the API: it speaks of every route and of nothing else, and what it says of requests and answers is
//! so. Every call of every test here is held against it.

use std::sync::OnceLock;

use axum::response::IntoResponse;
use jsonschema::{Draft, Validator};
use serde_json::Map;

use super::*;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = serde_json::from_str(openapi::DOCUMENT).expect("JSON");
        close(&mut document);
        document
    })
}

/// Has a schema that lists properties allow no others: to callers an answer may grow, but not unseen by this document.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// What a schema of the document says of `value`.
fn hold(schema: &Value, value: &Value, what: &str) {
    let mut root = schema.as_object().expect("a schema").clone();
    root.insert("components".to_owned(), document()["components"].clone());
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    let validator: Validator = options.build(&Value::Object(root)).expect("a schema that can be used");
    let mistakes: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(mistakes.is_empty(), "{what}: {mistakes:?}\n{value:#}");
}

/// The operation of a call, where there is one.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next()?;
    let fits = |known: &&String| who::is_route(known, path);
    let paths = document()["paths"].as_object().expect("paths");
    // Said word for word before said by a parameter: `/events/stream` is no event.
    let known = paths.keys().filter(fits).min_by_key(|known| known.matches('{').count())?;
    document()["paths"][known].get(method.to_lowercase())
}

/// Holds a call and its answer against the document.
pub(super) fn hold_call(method: &str, path: &str, body: Option<&Value>, answer: &Answer) {
    let Some(operation) = operation(method, path) else { return };
    let what = format!("{method} {path}");
    let responses = &operation["responses"];
    let (is_good, status) = (answer.status.is_success(), answer.status.as_str());
    if is_good && let Some(body) = body.filter(|_| operation.get("requestBody").is_some()) {
        hold(&operation["requestBody"]["content"]["application/json"]["schema"], body, &what);
    }
    let response = responses.get(status).or_else(|| responses.get("default").filter(|_| !is_good));
    let response = response.unwrap_or_else(|| panic!("{what}: {status} is not in the document"));
    let response = match response.get("$ref") {
        Some(_) => &document()["components"]["responses"]["Error"],
        None => response,
    };
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        assert!(answer.bytes.is_empty(), "{what}: {status} has a body");
        return;
    };
    let kind = answer.headers["content-type"].to_str().expect("text").split(';').next().unwrap_or_default();
    let said =
        content.get(kind).unwrap_or_else(|| panic!("{what}: {status} as {kind} is not in the document"));
    if kind == "application/json" {
        hold(&said["schema"], &answer.json(), &format!("{what}: {status}"));
    }
}

/// Holds a line of the stream against the document.
pub(super) fn hold_line(line: &Value) {
    hold(&json!({ "$ref": "#/components/schemas/StreamLine" }), line, "a line");
}

fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = document()["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&'static String, &'static Value)| {
        let item = item.as_object().expect("operations");
        item.iter().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn the_document_has_every_route_with_its_methods_and_no_other() {
    let house = house().await;
    let v1 = v1().into_iter().map(|(route, _)| path(route));
    let routes: Vec<String> = v1.chain(beside().into_iter().map(|(route, _)| route.to_owned())).collect();
    let documented = document()["paths"].as_object().unwrap();
    for path in documented.keys() {
        assert!(routes.contains(path), "{path} is in the document and is no route");
    }
    for route in routes {
        let item = documented.get(&route).unwrap_or_else(|| panic!("{route} is not in the document"));
        for method in METHODS {
            let request = request(None, &method.to_uppercase(), &route.replace(['{', '}'], ""), None);
            let is_taken = house.open(request).await.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(is_taken, item.get(method).is_some(), "{method} {route}");
        }
    }
}

#[tokio::test]
async fn every_operation_says_all_there_is_to_say() {
    let house = house().await;
    let admin = house.admin().await;
    let (mut names, mut tags) = (Vec::new(), Vec::new());
    for (method, path, operation) in operations() {
        let what = format!("{method} {path}");
        assert!(METHODS.contains(&method), "{what}");
        for said in ["summary", "operationId"] {
            assert!(operation[said].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {said}");
        }
        names.push(operation["operationId"].as_str().unwrap());
        tags.push(operation["tags"][0].as_str().unwrap());
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{what}: no success");
        assert!(responses.values().all(|one| one.get("description").or(one.get("$ref")).is_some()), "{what}");
        let empty = Vec::new();
        let parameters = operation.get("parameters").map_or(&empty, |list| list.as_array().unwrap());
        let of = |place: &str| parameters.iter().filter(|one| one["in"] == place).collect::<Vec<_>>();
        let named: Vec<_> =
            of("path").iter().map(|one| format!("{{{}}}", one["name"].as_str().unwrap())).collect();
        let in_path: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
        assert_eq!(named, in_path, "{what}");
        assert!(
            parameters.iter().all(|one| one["schema"].is_object()),
            "{what}: a parameter without a schema"
        );
        // Whether a token is needed is as the document says.
        let is_open = operation["security"] == json!([]);
        let reply = house.open(request(None, &method.to_uppercase(), path, None)).await;
        assert_eq!(reply.status() != StatusCode::UNAUTHORIZED, is_open, "{what}");
        // Every parameter is one the route knows, with the value it is shown with; together as well.
        let query = of("query");
        let pairs = query.iter().map(|one| {
            let example = one["example"].as_str().map_or(one["example"].to_string(), str::to_owned);
            hold(&one["schema"], &one["example"], &what);
            format!("{}={example}", one["name"].as_str().unwrap())
        });
        let pairs: Vec<_> = pairs.collect();
        if !pairs.is_empty() {
            let path = format!("{path}?{}", pairs.join("&"));
            let status = house.open(request(Some(&admin), "GET", &path, None)).await.status();
            assert_eq!(status, 200, "{path}");
            let path = format!("{path}&colour=red");
            let status = house.open(request(Some(&admin), "GET", &path, None)).await.status();
            assert_eq!(status, 400, "{path}: what the document does not name is refused");
        }
        // Every body has a schema that its example keeps to, and the route reads the example.
        if let Some(body) = operation.get("requestBody") {
            let said = &body["content"]["application/json"];
            assert!(said["schema"].is_object() && !said["example"].is_null(), "{what}");
            hold(&said["schema"], &said["example"], &what);
        }
        let takes_body = matches!(method, "post" | "patch")
            && !["/cancel", "/pair", "/deliveries/{id}/replay"].iter().any(|end| path.ends_with(end));
        assert_eq!(operation.get("requestBody").is_some(), takes_body, "{what}");
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two operations of one name");
    let known = document()["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap());
    let known: Vec<_> = known.collect();
    assert!(tags.iter().all(|tag| known.contains(tag)) && known.iter().all(|tag| tags.contains(tag)));
}

/// Every place a document refers to, and every schema it has.
#[test]
fn every_reference_leads_somewhere_and_no_schema_is_left_over() {
    fn references(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, into));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(document(), &mut found);
    for reference in &found {
        assert!(document().pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    let schemas: &Map<String, Value> = document()["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "nothing refers to {name}");
    }
}

#[tokio::test]
async fn the_document_is_there_for_everybody() {
    let house = house().await;
    let told = house.call(None, "GET", "/api/v1/openapi.json", None).await;
    assert_eq!(
        (told.status.as_u16(), &told.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(told.json()["openapi"], "3.1.0");
    let text = String::from_utf8(told.bytes).unwrap();
    assert_eq!(text, openapi::DOCUMENT);
    assert!(openapi::show().await.into_response().headers().contains_key("content-type"));
}

#[test]
#[should_panic(expected = "colour")]
fn an_answer_with_a_field_the_document_does_not_know_is_noticed() {
    hold(
        &json!({ "$ref": "#/components/schemas/Replayed" }),
        &json!({
            "event": "evt_1m80zd95t00001dmr98s33qz0a", "delivery": "evt_1m80zd95t00001dmr98s33qz0a.1", "colour": "red",
        }),
        "an answer",
    );
}
