//! openapi.json: the paths from the route table, the schemas from schemas.json beside this file.
use serde_json::{Map, Value, json};

use super::BASE;
use super::parse::Verb;
use super::routes::{Access, Route, Run, parameter};
use crate::model::fault::Code;

const SCHEMAS: &str = include_str!("schemas.json");

/// The description of `table`.
///
/// # Panics
/// When schemas.json is no JSON; a test reads it.
#[must_use]
pub fn document(table: &'static [Route], version: &str) -> Value {
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("schemas.json is JSON");
    let mut paths = Map::new();
    for route in table {
        let roots: &[&str] = if route.at_root { &[BASE, ""] } else { &[BASE] };
        for root in roots {
            let path = paths.entry(format!("{root}{}", route.path)).or_insert_with(|| json!({}));
            path[route.verb.text().to_lowercase()] = operation(route);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "miner-cli", "version": version },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &'static Route) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route),
        "security": match route.access {
            Access::Public => json!([]),
            Access::Token => json!([{ "token": [] }]),
        },
    });
    if let Some(schema) = route.takes {
        operation["requestBody"] = json!({
            "required": !schema.ends_with('?'),
            "content": { "application/json": { "schema": reference(schema.trim_end_matches('?')) } },
        });
    }
    operation
}

fn parameters(route: &'static Route) -> Vec<Value> {
    let path = route.path.split('/').filter_map(parameter).map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let query = route
        .query
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": reference(name) }));
    path.chain(query).collect()
}

/// Every status that the route can answer with.
pub fn statuses(route: &Route) -> Vec<u16> {
    let mut all = vec![route.gives.0];
    all.extend(route.fails.iter().map(|code| code.status()));
    let mut also = |codes: &[Code]| all.extend(codes.iter().map(|code| code.status()));
    also(&[
        Code::Invalid,
        Code::Forbidden,
        Code::TooLarge,
        Code::Internal,
        Code::Unsupported,
        Code::Unavailable,
    ]);
    if route.access == Access::Token {
        also(&[Code::Unauthorized, Code::TooMany]);
    }
    if !matches!(route.run, Run::Quick(_)) {
        // No identity yet; the registry's own time-out.
        also(&[Code::Conflict, Code::Timeout]);
        if route.verb != Verb::Get {
            also(&[Code::NotSaved]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for status in statuses(route) {
        let (kinds, schema): (&[&str], _) = match (status, route.run) {
            (s, Run::Stream(_)) if s == route.gives.0 => (&["text/event-stream"], route.gives.1),
            (s, _) if s == route.gives.0 => (route.kinds, route.gives.1),
            _ => (&["application/json"], "Fault"),
        };
        let description = tiny_http::StatusCode(status).default_reason_phrase();
        let mut response = json!({ "description": description });
        if !schema.is_empty() {
            for kind in kinds {
                response["content"][kind] = json!({ "schema": reference(schema) });
            }
        }
        if status == route.gives.0 && matches!(route.run, Run::Either(..)) {
            response["content"]["text/event-stream"] =
                json!({ "schema": reference("EventStream") });
        }
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use super::super::routes::TABLE;
    use super::{BASE, Value, document, statuses};
    use std::collections::BTreeSet;

    #[test]
    fn every_route_and_status_is_there_and_every_schema_is_used_and_exists() {
        let document = document(TABLE, "1");
        let paths = document["paths"].as_object().unwrap();
        let mut operations = 0;
        for route in TABLE {
            let operation =
                &paths[&format!("{BASE}{}", route.path)][route.verb.text().to_lowercase()];
            for status in statuses(route) {
                assert!(
                    operation["responses"].get(status.to_string()).is_some(),
                    "{} {status}",
                    route.path
                );
            }
            operations += 1 + usize::from(route.at_root);
        }
        let listed: usize = paths.values().map(|p| p.as_object().unwrap().len()).sum();
        assert_eq!(listed, operations, "nothing but the table");

        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let schemas: BTreeSet<String> =
            document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(used, schemas);
    }

    fn references(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    into.insert(target.rsplit('/').next().unwrap().to_owned());
                }
                map.values().for_each(|v| references(v, into));
            }
            Value::Array(all) => all.iter().for_each(|v| references(v, into)),
            _ => {}
        }
    }
}
