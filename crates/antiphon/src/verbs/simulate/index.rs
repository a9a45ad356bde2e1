//! `antiphon simulate FOLDER --index`: which scenarios there are, by topic, as Markdown. A topic is a folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{read, scenario_files};

/// A heading for every topic with the number of its scenarios; under it each title, linked to its file. Links begin at the
/// folder that was named.
pub(super) fn of(named: &[PathBuf]) -> anyhow::Result<String> {
    let mut files = Vec::new();
    for root in named {
        for path in scenario_files(std::slice::from_ref(root))? {
            let scenario = read(&path).map_err(|failure| failure.named(&path))?;
            let link = match path.strip_prefix(root) {
                Ok(inside) if inside.components().next().is_some() => inside.to_owned(),
                _ => path,
            };
            let title = scenario.title.unwrap_or_else(|| stem(&link));
            files.push((link, title));
        }
    }
    files.sort_by(|(one, _), (other, _)| (one.parent(), one).cmp(&(other.parent(), other)));
    let mut text = String::new();
    for topic in files.chunk_by(|(one, _), (other, _)| one.parent() == other.parent()) {
        let name = topic.first().and_then(|(link, _)| link.parent());
        if let Some(name) = name.filter(|name| !name.as_os_str().is_empty()) {
            let _ = writeln!(text, "### {} ({})\n", name.display(), topic.len());
        }
        for (link, title) in topic {
            let _ = writeln!(text, "- [{title}]({})", link.display());
        }
        text.push('\n');
    }
    Ok(text)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
