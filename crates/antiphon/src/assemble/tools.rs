//! The tools of the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::tool::http::{HttpMethod, HttpToolOptions};
use antiphon_agent::tool::{HttpTool, Tool};
use antiphon_agent::{AgentBuilder, Filler, ToolOptions};
use antiphon_restaurant::{Bookings, BookingsError, tools as restaurant};
use anyhow::Context as _;

use crate::config::template::{Piece, pieces};
use crate::config::{Config, ToolConfig};
use crate::verbs::docs;

/// All of them, each run as the file says.
pub(super) fn add(
    mut builder: AgentBuilder,
    config: &Config,
    is_example: bool,
    notes: &mut Vec<String>,
) -> anyhow::Result<AgentBuilder> {
    for tool in &config.tools {
        let made = if tool.builtin.is_some() {
            bookings(config, tool, is_example, notes)?
        } else {
            vec![Arc::new(http(tool)?) as Arc<dyn Tool>]
        };
        for made in &made {
            builder = builder.tool_options(made.definition().name, run(tool));
        }
        builder = builder.tools(made);
    }
    Ok(builder)
}

/// How a tool is run.
fn run(tool: &ToolConfig) -> ToolOptions {
    let filler = tool.filler.as_ref().map(|texts| {
        let default = Filler::default();
        Filler {
            texts: texts.all(),
            delay: tool.filler_after.map_or(default.delay, |after| after.0),
            interval: tool.filler_every.map(|every| every.0),
            max: tool.filler_max,
        }
    });
    ToolOptions {
        timeout: tool.timeout.map(|seconds| seconds.0),
        interruption: tool.interruption,
        filler,
        on_duplicate: tool.on_duplicate,
        duplicate_scope: tool.duplicate_scope,
        cancellable: tool.cancellable,
    }
}

/// `restaurant_bookings`, the only tool set in the binary (the check of the file refuses others).
fn bookings(
    config: &Config,
    tool: &ToolConfig,
    is_example: bool,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Arc<dyn Tool>>> {
    let path = tool.database.as_ref().map(|path| {
        if is_example {
            data_folder().join(path)
        } else {
            state_folder(config).join(path)
        }
    });
    let book = match &path {
        Some(path) => match Bookings::open(path) {
            Ok(book) => book,
            // The example must run even when another one holds the file or the folder cannot be written.
            Err(error) if is_example => {
                notes.push(format!(
                    "bookings are forgotten at the end, for {} cannot be opened ({}); stop the other Antiphon, if there is one",
                    path.display(),
                    reason(&error)
                ));
                Bookings::in_memory()?
            }
            Err(error) => return Err(cannot_open(path, &error)),
        },
        None => Bookings::in_memory().context("[[tool]] restaurant_bookings")?,
    };
    Ok(restaurant::tools(
        &Arc::new(book),
        &restaurant::local_today(),
    ))
}

/// One process at a time has the file; a second one, or a folder that cannot be written, needs another path.
fn cannot_open(path: &Path, error: &BookingsError) -> anyhow::Error {
    anyhow::anyhow!(
        "[[tool]] database {} cannot be opened ({}); one process can have it: give each process a path of its own (database = \"…\" in \
         a folder that it can write), or keep bookings in a service that many can use, behind an HTTP [[tool]]: {}",
        path.display(),
        reason(error),
        docs("deployment.md")
    )
}

/// Without what the error would advise: there is more to say here.
fn reason(error: &BookingsError) -> String {
    match error {
        BookingsError::Database(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// Where relative paths of files that are written start: systemd's folder for the state of this service
/// (systemd.exec(5), StateDirectory=), else the folder of the file.
fn state_folder(config: &Config) -> PathBuf {
    service_folder().unwrap_or_else(|| config.folder.clone())
}

fn service_folder() -> Option<PathBuf> {
    let given = std::env::var("STATE_DIRECTORY").ok()?;
    let first = given.split(':').next().map(PathBuf::from);
    first.filter(|folder| folder.is_absolute())
}

/// What the program keeps for itself: systemd's folder for the state of this service, else the user's data folder.
pub(crate) fn user_folder() -> PathBuf {
    service_folder().unwrap_or_else(data_folder)
}

/// Where the example keeps its bookings: the user's data folder (XDG Base Directory Specification).
fn data_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(home);
    base.unwrap_or_default().join("antiphon")
}

fn http(tool: &ToolConfig) -> anyhow::Result<HttpTool> {
    let name = tool.name.clone().unwrap_or_default();
    let mut headers = std::collections::BTreeMap::new();
    for (header, value) in &tool.headers {
        let value = with_environment(value, |variable| std::env::var(variable).ok())
            .with_context(|| format!("[[tool]] `{name}`: header {header}"))?;
        headers.insert(header.clone(), value);
    }
    let empty = || serde_json::json!({"type": "object", "properties": {}});
    let parameters = match &tool.parameters {
        Some(table) => {
            serde_json::to_value(table).with_context(|| format!("[[tool]] `{name}`: parameters"))?
        }
        None => empty(),
    };
    let options = HttpToolOptions {
        name,
        description: tool.description.clone().unwrap_or_default(),
        method: match tool.method.as_deref() {
            Some("POST") => HttpMethod::Post,
            Some("PUT") => HttpMethod::Put,
            Some("PATCH") => HttpMethod::Patch,
            Some("DELETE") => HttpMethod::Delete,
            _ => HttpMethod::Get,
        },
        url: tool.url.clone().unwrap_or_default(),
        parameters,
        headers,
        run: run(tool),
        allowed_hosts: tool.allowed_hosts.clone(),
    };
    Ok(HttpTool::new(options)?)
}

/// `Bearer ${TOKEN}` with the variable's value.
fn with_environment(text: &str, lookup: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut filled = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable(name) => filled.push_str(
                &lookup(name)
                    .with_context(|| format!("{name} is not set in the environment or .env"))?,
            ),
            Piece::Unclosed => anyhow::bail!("a `${{` without `}}`"),
        }
    }
    Ok(filled)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_on_one_booking_database_is_told_to_use_another_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bookings.redb");
        let first = Bookings::open(&path).unwrap();
        let error = cannot_open(&path, &Bookings::open(&path).err().unwrap()).to_string();
        drop(first);
        assert!(
            error.contains("bookings.redb") && error.contains("a path of its own"),
            "{error}"
        );
    }

    #[test]
    fn a_header_takes_its_secret_from_the_environment() {
        let lookup = |name: &str| (name == "TOKEN").then(|| "t".to_owned());
        assert_eq!(
            with_environment("Bearer ${TOKEN}", lookup).unwrap(),
            "Bearer t"
        );
        assert!(
            with_environment("${MISSING}", lookup)
                .unwrap_err()
                .to_string()
                .contains("MISSING is not set")
        );
        assert!(with_environment("${TOKEN", lookup).is_err());
    }
}
