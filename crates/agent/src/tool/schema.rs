//! JSON Schemas of tool parameters, as strict providers accept them (OpenAI's structured outputs): every object closed,
//! every property required, optional ones nullable instead, no keywords that are refused.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

/// Nesting that is followed; deeper schemas are given to the provider as they are.
const DEPTH_LIMIT: usize = 32;

/// Keywords that strict providers refuse or that mean nothing to a model.
const DROPPED: [&str; 10] = [
    "$schema",
    "title",
    "default",
    "discriminator",
    "examples",
    "minLength",
    "maxLength",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// Formats that strict providers accept; schemars also writes Rust's integer types there.
const FORMATS: [&str; 9] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
];

/// The schema of a Rust type.
pub fn of<A: JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<A>()
        .to_value()
}

/// Checks that a schema describes an object; an empty or missing one describes an object without properties.
///
/// # Errors
/// What it is instead.
pub fn of_object(schema: Value) -> Result<Value, String> {
    let Value::Object(mut object) = schema else {
        return if schema.is_null() {
            Ok(json!({"type": "object", "properties": {}}))
        } else {
            Err(format!("{schema} is no object"))
        };
    };
    match object.get("type") {
        Some(Value::String(kind)) if kind == "object" => {}
        None if object.is_empty() || object.contains_key("properties") => {
            object.insert("type".into(), "object".into());
        }
        Some(Value::Null) if object.len() <= 3 => {
            object.insert("type".into(), "object".into());
        }
        other => {
            return Err(format!(
                "its type is {}, not \"object\"",
                other.unwrap_or(&Value::Null)
            ));
        }
    }
    object.entry("properties").or_insert_with(|| json!({}));
    Ok(Value::Object(object))
}

/// The strict form, or `None` when it has none (maps with free keys, conditions).
pub fn strict(schema: &Value) -> Option<Value> {
    tighten(schema, DEPTH_LIMIT)
}

/// Does a provider's strict mode accept this schema? True for what [`strict`] made.
pub fn is_strict(schema: &Value) -> bool {
    strict(schema).is_some_and(|strict| strict == *schema)
}

fn tighten(schema: &Value, depth: usize) -> Option<Value> {
    let Value::Object(object) = schema else {
        return None; // `true` and `false` have no strict form
    };
    let depth = depth.checked_sub(1)?;
    let mut out = Map::new();
    for (key, value) in object {
        match key.as_str() {
            dropped if DROPPED.contains(&dropped) => {}
            "format"
                if !value
                    .as_str()
                    .is_some_and(|format| FORMATS.contains(&format)) => {}
            "if" | "then" | "else" | "not" | "patternProperties" | "dependentSchemas"
            | "dependentRequired" => return None,
            "additionalProperties" if *value != json!(false) => return None,
            "required" | "properties" => {}
            "$defs" | "definitions" => {
                out.insert(key.clone(), each_value(value, depth)?);
            }
            "items" => {
                out.insert(key.clone(), tighten(value, depth)?);
            }
            "oneOf" | "anyOf" => {
                out.insert("anyOf".into(), each_item(value, depth)?);
            }
            "allOf" => match value.as_array().map(Vec::as_slice) {
                Some([only]) => out.extend(tighten(only, depth)?.as_object()?.clone()),
                _ => return None,
            },
            "const" => {
                out.insert("enum".into(), json!([value]));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if is_object(object) {
        close(object, &mut out, depth)?;
    }
    // A reference stands alone in strict mode.
    if out.len() > 1
        && let Some(reference) = out.remove("$ref")
    {
        out.insert("anyOf".into(), json!([{ "$ref": reference }]));
    }
    Some(Value::Object(out))
}

/// Every property required, the optional ones nullable, no others.
fn close(object: &Map<String, Value>, out: &mut Map<String, Value>, depth: usize) -> Option<()> {
    let empty = Map::new();
    let properties = object
        .get("properties")
        .map_or(Some(&empty), Value::as_object)?;
    let required: Vec<&str> = object
        .get("required")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |names| {
            names.iter().filter_map(Value::as_str).collect()
        });
    let mut tight = Map::new();
    for (name, property) in properties {
        let strict = tighten(property, depth)?;
        tight.insert(
            name.clone(),
            if required.contains(&name.as_str()) {
                strict
            } else {
                nullable(strict)
            },
        );
    }
    out.insert("required".into(), tight.keys().cloned().collect());
    out.insert("properties".into(), Value::Object(tight));
    out.insert("additionalProperties".into(), Value::Bool(false));
    Some(())
}

fn is_object(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties") || kinds(schema).contains(&"object")
}

fn kinds(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn nullable(schema: Value) -> Value {
    let Value::Object(mut object) = schema else {
        return schema;
    };
    if allows_null(&object) {
        return Value::Object(object);
    }
    if object.contains_key("type") {
        let mut kinds: Vec<Value> = kinds(&object).into_iter().map(Value::from).collect();
        kinds.push("null".into());
        object.insert("type".into(), Value::Array(kinds));
        if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
        return Value::Object(object);
    }
    if let Some(choices) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.push(json!({"type": "null"}));
        return Value::Object(object);
    }
    let description = object.remove("description");
    let mut out = json!({ "anyOf": [object, {"type": "null"}] });
    if let (Some(description), Some(out)) = (description, out.as_object_mut()) {
        out.insert("description".into(), description);
    }
    out
}

fn allows_null(schema: &Map<String, Value>) -> bool {
    let in_choices = |key: &str| {
        schema
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(|choices| {
                choices
                    .iter()
                    .any(|choice| choice.as_object().is_some_and(allows_null))
            })
    };
    kinds(schema).contains(&"null") || in_choices("anyOf") || in_choices("oneOf")
}

fn each_value(schemas: &Value, depth: usize) -> Option<Value> {
    let mut out = Map::new();
    for (name, schema) in schemas.as_object()? {
        out.insert(name.clone(), tighten(schema, depth)?);
    }
    Some(Value::Object(out))
}

fn each_item(schemas: &Value, depth: usize) -> Option<Value> {
    schemas
        .as_array()?
        .iter()
        .map(|schema| tighten(schema, depth))
        .collect::<Option<Vec<_>>>()
        .map(Value::Array)
}

/// A strict model writes `null` for what it leaves out: take those properties away where the author's schema does not
/// know null, so that defaults apply.
pub fn drop_nulls(schema: &Value, value: &mut Value) {
    drop_nulls_within(schema, schema, value, DEPTH_LIMIT);
}

fn drop_nulls_within(root: &Value, schema: &Value, value: &mut Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let Some(schema) = resolve(root, schema) else {
        return;
    };
    for key in ["anyOf", "oneOf", "allOf"] {
        for choice in schema
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            drop_nulls_within(root, choice, value, depth);
        }
    }
    match value {
        Value::Object(members) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            let required = schema.get("required").and_then(Value::as_array);
            members.retain(|name, member| {
                let optional =
                    !required.is_some_and(|names| names.iter().any(|required| required == name));
                let knows_null = properties
                    .get(name)
                    .and_then(|p| resolve(root, p))
                    .is_some_and(allows_null);
                !(member.is_null() && optional && properties.contains_key(name) && !knows_null)
            });
            for (name, member) in members.iter_mut() {
                if let Some(property) = properties.get(name) {
                    drop_nulls_within(root, property, member, depth);
                }
            }
        }
        Value::Array(items) => {
            if let Some(each) = schema.get("items") {
                items
                    .iter_mut()
                    .for_each(|item| drop_nulls_within(root, each, item, depth));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema itself, or what its local reference points to (one step; schemars writes no chains).
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Map<String, Value>> {
    let object = schema.as_object()?;
    match object.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.strip_prefix('#')?)?.as_object(),
        None => Some(object),
    }
}
