//! The documents behind the passages that the page shows, for the person who wants to read on.

use std::path::{Component, Path, PathBuf};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Larger ones are no documents; the knowledge reads 64 MiB of one.
const MAX_BYTES: u64 = 64 << 20;

/// Where documents are. Only what the knowledge reads, and only below these folders.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// What stands before the names of a source's files, and its folder.
    pub folders: Vec<(String, PathBuf)>,
    /// Those that the program carries: names and texts.
    pub texts: Vec<(String, String)>,
}

impl Documents {
    /// The document of a passage's source: `handbook: prices.pdf › Colour`.
    pub(super) async fn respond(&self, source: &str) -> Response {
        let name = source.split(" › ").next().unwrap_or_default();
        if let Some((_, text)) = self.texts.iter().find(|(known, _)| known == name) {
            return answer(name, text.clone().into_bytes());
        }
        for (before, folder) in &self.folders {
            let Some(path) = name.strip_prefix(before.as_str()).and_then(safe) else {
                continue;
            };
            let path = folder.join(path);
            let is_small = |file: &std::fs::Metadata| file.is_file() && file.len() <= MAX_BYTES;
            if tokio::fs::metadata(&path)
                .await
                .is_ok_and(|file| is_small(&file))
                && let Ok(bytes) = tokio::fs::read(&path).await
            {
                return answer(name, bytes);
            }
        }
        (
            StatusCode::NOT_FOUND,
            "this document is not in a folder of the knowledge",
        )
            .into_response()
    }
}

/// A path that stays below its folder and is a document's.
fn safe(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(part) => !part.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    (kind(name).is_some() && path.components().all(is_plain)).then_some(path)
}

/// As what a browser gets it. What it would run is text: strangers may have written it.
fn kind(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "md" | "markdown" | "txt" | "text" | "html" | "htm" | "csv" | "tsv" | "json" | "jsonl"
        | "ndjson" | "eml" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn answer(name: &str, bytes: Vec<u8>) -> Response {
    let kind = kind(name).unwrap_or("text/plain; charset=utf-8");
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // a PDF's own viewer does not run in a sandbox
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'",
        ),
    ];
    (
        fixed.map(|(name, value)| (name, HeaderValue::from_static(value))),
        bytes,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn nothing_but_documents_below_the_folder_is_given_out() {
        assert!(safe("faq/opening hours.md").is_some());
        for name in [
            "../prices.md",
            "/etc/notes.txt",
            "a/../../b.md",
            ".env.txt",
            ".git/x.md",
            "antiphon.toml",
            "bookings.redb",
            "md",
            "",
        ] {
            assert!(safe(name).is_none(), "{name}");
        }
    }
}
