//! `antiphon models`: which neural models there are, and fetching them. Nothing else in the program fetches one.

use std::io::{IsTerminal as _, Write as _};

use antiphon_models::catalogue::find;
use antiphon_models::{Fetcher, MODELS, ModelInfo, Progress, Store};
use anyhow::Context as _;

use super::print_line;
use crate::cli::{FetchArgs, ModelsArgs, ModelsVerb};

/// Cells of a progress bar.
const BAR_CELLS: u64 = 30;

/// List or fetch.
pub async fn run(args: ModelsArgs) -> anyhow::Result<()> {
    let store = Store::of_user()?;
    match args.verb.unwrap_or(ModelsVerb::List) {
        ModelsVerb::List => {
            print_line(&table(&store));
            Ok(())
        }
        ModelsVerb::Fetch(args) => fetch(&store, args).await,
    }
}

async fn fetch(store: &Store, args: FetchArgs) -> anyhow::Result<()> {
    let models = named(&args.names)?;
    let mut fetcher = Fetcher::new(store.clone())?;
    if let Some(folder) = args.from {
        fetcher = fetcher.from_folder(folder);
    }
    let mut failed = Vec::new();
    for model in models {
        let mut shown = Shown::new(std::io::stderr().is_terminal());
        if store.has(model) {
            print_line(&format!("{}: here already", model.name));
            continue;
        }
        print_line(&format!(
            "{}: {}, licence {}",
            model.name, model.about, model.licence
        ));
        match fetcher.fetch(model, |progress| shown.show(progress)).await {
            Ok(folder) => print_line(&format!("{}: in {}", model.name, folder.display())),
            Err(error) => failed.push(error.to_string()),
        }
    }
    anyhow::ensure!(failed.is_empty(), failed.join("\n"));
    Ok(())
}

fn named(names: &[String]) -> anyhow::Result<Vec<&'static ModelInfo>> {
    if names.is_empty() {
        return Ok(MODELS.iter().filter(|model| model.is_usual).collect());
    }
    names
        .iter()
        .map(|name| {
            find(name).with_context(|| {
                let known: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
                format!("there is no model `{name}`; there are {}", known.join(", "))
            })
        })
        .collect()
}

/// Name, purpose, whether it is here, size, licence.
fn table(store: &Store) -> String {
    let mut lines: Vec<String> = MODELS
        .iter()
        .map(|model| {
            let state = match (store.has(model), model.is_usual) {
                (true, _) => "here",
                (false, true) => "missing",
                (false, false) => "optional",
            };
            format!(
                "{:<18} {:<6} {state:<8} {:>4} MB  {:<10} {}",
                model.name,
                model.purpose.as_str(),
                megabytes(model.bytes()),
                model.licence,
                model.about
            )
        })
        .collect();
    let folder = store.folder().display();
    lines.push(format!("They lie in {folder}."));
    let lacks = |is_usual| {
        let mut models = MODELS.iter().filter(|model| model.is_usual == is_usual);
        models.any(|model| !store.has(model))
    };
    if lacks(true) {
        lines.push("`antiphon models fetch` brings what is missing.".to_owned());
    }
    if lacks(false) {
        lines.push(
            "What is optional is fetched by its name: `antiphon models fetch NAME`.".to_owned(),
        );
    }
    lines.join("\n")
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

/// What is told while a model is fetched: in a terminal a bar that is drawn again and again, elsewhere a line for each source.
struct Shown {
    is_terminal: bool,
    /// What the bar shows: it is drawn anew only when that changes.
    percent: Option<u64>,
}

impl Shown {
    fn new(is_terminal: bool) -> Self {
        Self {
            is_terminal,
            percent: None,
        }
    }

    fn show(&mut self, progress: Progress<'_>) {
        if let Some(text) = self.text(progress) {
            let mut stderr = std::io::stderr();
            let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
        }
    }

    fn text(&mut self, progress: Progress<'_>) -> Option<String> {
        match progress {
            Progress::Source(source) => {
                self.percent = None;
                Some(format!("  from {source}\n"))
            }
            Progress::Bytes { file, done, total } => {
                let percent = done.saturating_mul(100) / total.max(1);
                if !self.is_terminal || self.percent.replace(percent) == Some(percent) {
                    return None;
                }
                let full = (percent * BAR_CELLS / 100).min(BAR_CELLS) as usize;
                let rest = BAR_CELLS as usize - full;
                let end = if done >= total { "\n" } else { "" };
                let (done, total) = (megabytes(done), megabytes(total));
                Some(format!(
                    "\r  [{}{}] {percent:>3} % of {total} MB ({done} MB) {file}{end}",
                    "#".repeat(full),
                    "-".repeat(rest)
                ))
            }
            Progress::Failed(why) => Some(format!("  {why}\n")),
            Progress::Complete => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use antiphon_models::catalogue::KOKORO;

    use super::*;

    #[test]
    fn a_model_that_nobody_knows_is_refused_with_those_that_there_are() {
        let error = named(&["moonshin".into()]).unwrap_err().to_string();
        for model in MODELS {
            assert!(error.contains(model.name), "{error}");
        }
        let usual = named(&[]).unwrap();
        assert!(usual.len() > 2 && usual.iter().all(|model| model.is_usual));
        assert_eq!(named(&["kokoro".into()]).unwrap(), [&KOKORO]);
    }

    #[test]
    fn the_list_says_what_each_model_is_for_and_under_which_licence() {
        let folder = tempfile::tempdir().unwrap();
        let text = table(&Store::new(folder.path().to_owned()));
        for model in MODELS {
            let line = text.lines().find(|line| line.starts_with(model.name));
            let line = line.unwrap();
            let state = if model.is_usual {
                "missing"
            } else {
                "optional"
            };
            assert!(line.contains(state) && line.contains(model.licence));
            assert!(line.contains(model.purpose.as_str()));
        }
    }

    #[test]
    fn a_bar_is_drawn_once_for_each_percent_and_only_for_people() {
        let bytes = |done| Progress::Bytes {
            file: "f",
            done,
            total: 1_000,
        };
        let mut terminal = Shown::new(true);
        let drawn: Vec<_> = (1..=1_000)
            .filter_map(|done| terminal.text(bytes(done)))
            .collect();
        assert_eq!(drawn.len(), 101);
        assert!(
            drawn[100].contains("[##############################] 100 %"),
            "{:?}",
            drawn[100]
        );
        assert_eq!(Shown::new(false).text(bytes(500)), None);
    }
}
