//! API keys and other secrets in files of their own, as `key: secret` in YAML. Others must not be able to read them.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon_protocol::Keys;
use serde_json::Value;

use super::{LiveKitError, tree};

/// What others may do with a file, in Unix permissions.
#[cfg(unix)]
const OTHERS: u32 = 0o007;

pub(super) fn read(path: &Path) -> Result<Keys, LiveKitError> {
    let text = secret_text(path)?;
    let tree = tree::parse(&path.display().to_string(), &text)?;
    let rows = tree.as_object().cloned().unwrap_or_default();
    keys(&rows.into_iter().collect())?.ok_or_else(|| LiveKitError::Value {
        key: path.display().to_string(),
        problem: "it holds no API key; write `key: secret`, or run `antiphon generate-keys`"
            .to_owned(),
    })
}

/// The text of a file that nobody else may read.
pub(super) fn secret_text(path: &Path) -> Result<String, LiveKitError> {
    let failed = |source| LiveKitError::Read {
        path: path.to_owned(),
        source,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)
            .map_err(failed)?
            .permissions()
            .mode();
        if mode & OTHERS != 0 {
            return Err(LiveKitError::Permissions {
                path: path.to_owned(),
            });
        }
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The section `keys`. A secret of digits alone is a number to YAML.
pub(super) fn keys(rows: &BTreeMap<String, Value>) -> Result<Option<Keys>, LiveKitError> {
    let mut keys = Keys::default();
    for (key, secret) in rows {
        let secret = match secret {
            Value::String(secret) => secret.clone(),
            Value::Number(secret) => secret.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        };
        if key.is_empty() || secret.is_empty() {
            return Err(LiveKitError::Value {
                key: format!("keys.{key}"),
                problem: "write it as `key: secret`, the secret in quotes".to_owned(),
            });
        }
        keys.insert(key, secret);
    }
    Ok((!keys.is_empty()).then_some(keys))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.yaml");
        std::fs::write(&path, "APIone: \"secret of one\"\nAPItwo: 1234\n").unwrap();
        let allow =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        allow(0o644);
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("chmod o-rwx"), "{error}");
        allow(0o640);
        let keys = read(&path).unwrap();
        assert_eq!(
            (keys.secret("APIone"), keys.secret("APItwo")),
            (Some("secret of one"), Some("1234"))
        );
        std::fs::write(&path, "").unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("generate-keys")
        );
    }
}
