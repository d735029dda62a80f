//! The JSON Schema and the parser tell files apart alike, as far as shapes go.
#![expect(clippy::disallowed_methods, reason = "effects: reads the golden cases")]

use serde_json::{Value, json};
use stagecraft::config;

/// Returns whether `value` fits `schema`: the keywords that the schema uses, and a panic for any other.
fn fits(schema: &Value, value: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return schema.as_bool().unwrap();
    };
    schema.iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => match rule {
            Value::Array(sorts) => sorts.iter().any(|sort| is_sort(sort, value)),
            sort => is_sort(sort, value),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= rule.as_i64().unwrap()),
        "pattern" => value
            .as_str()
            .is_none_or(|text| text.starts_with(|c: char| c.is_ascii_digit())),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(rule, item))),
        "anyOf" => rule
            .as_array()
            .unwrap()
            .iter()
            .any(|schema| fits(schema, value)),
        "required" => value.as_object().is_none_or(|object| {
            rule.as_array()
                .unwrap()
                .iter()
                .all(|key| object.contains_key(key.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|object| {
            object
                .iter()
                .all(|(key, value)| rule.get(key).is_none_or(|schema| fits(schema, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = schema.get("properties");
            let unknown = object
                .iter()
                .filter(|(key, _)| known.is_none_or(|known| known.get(key).is_none()));
            unknown
                .map(|(_, value)| value)
                .all(|value| fits(rule, value))
        }),
        "description" | "title" | "$schema" => true,
        other => panic!("unexpected keyword {other}"),
    })
}

fn is_sort(sort: &Value, value: &Value) -> bool {
    match sort.as_str().unwrap() {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("unexpected type {other}"),
    }
}

fn yaml(text: &str) -> Option<Value> {
    let value: serde_yaml::Value = serde_yaml::from_str(text).ok()?;
    serde_json::to_value(value).ok()
}

/// spec: config/schema R1
#[test]
fn every_good_file_fits_the_schema() {
    let schema = config::schema();
    for case in super::cases("ok-") {
        let text = std::fs::read_to_string(case.join("stagecraft.yml")).unwrap();
        // The octal of YAML 1.2 is a string to this reader.
        let value = yaml(&text.replace("0o10", "8")).unwrap();
        assert!(fits(&schema, &value), "{}", case.display());
    }
}

/// spec: config/schema R2
#[test]
fn a_file_that_the_schema_refuses_has_faults_in_its_shape() {
    let schema = config::schema();
    for name in [
        "err-shape-unknown-keys",
        "err-shape-wrong-sorts",
        "err-shape-choices",
        "err-original-many-sections",
        "err-environment-rollout",
        "err-project-empty-file",
    ] {
        let case = super::golden().join(name).join("stagecraft.yml");
        let value = yaml(&std::fs::read_to_string(case).unwrap()).unwrap();
        assert!(!fits(&schema, &value), "{name}");
    }
}

/// spec: config/schema R3
#[test]
fn keys_are_described_and_closed() {
    let schema = config::schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["required"], json!(["project"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    let operation = &schema["properties"]["operations"]["additionalProperties"];
    assert_eq!(
        operation["properties"]["retries"],
        json!({ "type": "integer", "minimum": 0, "maximum": 10, "description": "default 0" })
    );
    assert_eq!(
        operation["properties"]["timeout"],
        json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "description": "default 1h" })
    );
    assert_eq!(operation["properties"]["zebra"], Value::Null);
}
