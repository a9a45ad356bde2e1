//! JSON from outside, read as protobuf has it: `null` is the same as not given.
//!
//! Source: protobuf's JSON mapping (ProtoJSON), "null is an accepted value for all field types and treated as the default".

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The value, with every key left out whose value is `null`.
///
/// # Errors
/// What `serde_json` says: no JSON, or not of this form.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| {
        let mut value: Value = serde_json::from_slice(json)?;
        if !leave_out_nulls(&mut value) {
            return Err(error);
        }
        read(&value)
    })
}

/// The key, as `video.canPublish`, without which the object would have been read. `None`: it is none of them, or no JSON.
pub fn wrong_key<T: DeserializeOwned>(json: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    leave_out_nulls(&mut value);
    let path = wrong_in::<T>(&value, &|value| value)?;
    Some(path.join("."))
}

/// Looks for a key whose value alone, in its place, cannot be read.
fn wrong_in<T: DeserializeOwned>(
    value: &Value,
    in_place: &dyn Fn(Value) -> Value,
) -> Option<Vec<String>> {
    value.as_object()?.iter().find_map(|(key, value)| {
        let alone = |value: Value| in_place(Value::Object(Map::from_iter([(key.clone(), value)])));
        read::<T>(&alone(value.clone())).err()?;
        let mut path = vec![key.clone()];
        path.extend(wrong_in::<T>(value, &alone).unwrap_or_default());
        Some(path)
    })
}

/// By its text: some forms are read from text in another way than from values.
fn read<T: DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

/// Were there any?
fn leave_out_nulls(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => {
            let before = fields.len();
            fields.retain(|_, value| !value.is_null());
            let mut any = fields.len() < before;
            for value in fields.values_mut() {
                any |= leave_out_nulls(value);
            }
            any
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |any, item| leave_out_nulls(item) | any),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Claims;
    use crate::proto::CreateRoomRequest;

    #[test]
    fn null_is_the_same_as_not_given() {
        let text = br#"{"name":null,"attributes":null,"exp":null,"roomConfig":{"name":"x","agents":[{"agentName":"a","metadata":null}]},
            "video":{"room":"hall","roomJoin":null,"canPublish":null,"canPublishSources":null}}"#;
        let claims: Claims = from_slice(text).unwrap();
        assert_eq!(claims.video_grants().room, "hall");
        assert_eq!(claims.room_config.unwrap().agents.len(), 1);
        let request = br#"{"name":"hall","metadata":null,"agents":null,"emptyTimeout":"7","maxParticipants":null}"#;
        let request: CreateRoomRequest = from_slice(request).unwrap();
        assert_eq!((request.name.as_str(), request.empty_timeout), ("hall", 7));
    }

    #[test]
    fn a_value_of_the_wrong_form_is_named_by_its_key() {
        let wrong = |text: &[u8]| wrong_key::<Claims>(text);
        assert_eq!(wrong(br#"{"name":7}"#).as_deref(), Some("name"));
        assert_eq!(
            wrong(br#"{"sub":"a","video":{"room":"x","canPublish":"yes"}}"#).as_deref(),
            Some("video.canPublish")
        );
        assert_eq!(
            wrong(br#"{"attributes":{"a":"b","n":{}}}"#).as_deref(),
            Some("attributes.n")
        );
        assert_eq!(wrong(b"[]"), None);
        assert_eq!(wrong(b"{"), None);
    }
}
