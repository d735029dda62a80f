//! The table of known keys as a JSON Schema (2020-12), for editors.
//! Says what a file may look like; how one key bears on another is left to `parse`.

use serde_json::{Map, Value, json};

use super::raw::{Field, Presence, STAGECRAFT, Shape};

/// Returns the JSON Schema of `stagecraft.yml`.
pub fn schema() -> Value {
    let mut root = Map::new();
    root.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    root.insert("title".to_owned(), json!("stagecraft.yml"));
    if let Value::Object(shape) = describe(&STAGECRAFT) {
        root.extend(shape);
    }
    Value::Object(root)
}

fn describe(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Shape::Choice(choices) => json!({ "enum": choices }),
        Shape::Duration => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Shape::Size => json!({ "type": "string", "pattern": "^[0-9]+([KMGT]i?)?B$" }),
        Shape::Percent => json!({ "type": "string", "pattern": "^0*([0-9]{1,2}|100)%$" }),
        Shape::List(item) => json!({ "type": "array", "items": describe(item) }),
        Shape::Map(value) => {
            json!({ "type": ["object", "null"], "additionalProperties": describe(value) })
        }
        Shape::Record(fields) => record(fields),
        Shape::Either(_, shapes) => {
            json!({ "anyOf": shapes.iter().map(describe).collect::<Vec<_>>() })
        }
        Shape::Anything => json!(true),
        Shape::Refused(_) => json!(false),
    }
}

fn record(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields
        .iter()
        .filter(|field| !matches!(field.shape, Shape::Refused(_)))
    {
        let mut property = describe(&field.shape);
        if let Value::Object(property) = &mut property {
            property.insert("description".to_owned(), json!(field.doc));
        }
        properties.insert(field.key.to_owned(), property);
    }
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.presence != Presence::Optional)
        .map(|field| field.key)
        .collect();
    let sort = if required.is_empty() {
        json!(["object", "null"])
    } else {
        json!("object")
    };
    let mut schema = Map::new();
    schema.insert("type".to_owned(), sort);
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    Value::Object(schema)
}
