//! `antiphon init`: the files of an agent that runs, to begin with. Nothing that is there is overwritten.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use antiphon_restaurant::files as restaurant;
use anyhow::Context as _;

use super::{docs, print_line};
use crate::cli::{Example, InitArgs};

/// A file to write.
struct File {
    /// Below the folder.
    path: PathBuf,
    text: String,
    /// Without it the agent is another one. The rest (`.gitignore`) may be there already: then it stays as it is.
    needed: bool,
}

/// Write the files, and say what to do next.
///
/// # Errors
/// A needed file is there already (nothing was written then), or the folder cannot be written.
pub fn run(args: &InitArgs) -> anyhow::Result<()> {
    let kept = write(&args.folder, &files(args.example))?;
    let folder = args.folder.display().to_string();
    for file in files(args.example) {
        let path = args.folder.join(&file.path);
        if !kept.contains(&file.path) {
            print_line(&format!("wrote {}", path.display()));
        } else {
            print_line(&format!("kept  {}, which was there", path.display()));
        }
    }
    let enter = if folder == "." {
        String::new()
    } else {
        format!("cd {}, then ", quoted(&folder))
    };
    print_line(&format!(
        "\nNext: {enter}\n  antiphon dev       and talk to it at http://localhost:7880"
    ));
    print_line("  antiphon doctor    says which engines and keys it found, and what is missing");
    if args.example == Example::Restaurant {
        print_line("  antiphon simulate scenarios    tests it without any provider");
    }
    print_line(&format!(
        "Change antiphon.toml and knowledge/ as you like. Every key: {}",
        docs("configuration.md")
    ));
    if kept.iter().any(|path| path == Path::new(".gitignore")) {
        print_line("Keep .env out of git: put it into your .gitignore.");
    }
    Ok(())
}

/// For the shell.
fn quoted(folder: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~".contains(c);
    if folder.chars().all(plain) {
        folder.to_owned()
    } else {
        format!("'{}'", folder.replace('\'', r"'\''"))
    }
}

fn files(example: Example) -> Vec<File> {
    let needed = |path: String, text: &str| File {
        path: path.into(),
        text: text.to_owned(),
        needed: true,
    };
    let beside = |path: &str, text: &str| File {
        needed: false,
        ..needed(path.to_owned(), text)
    };
    let mut files = match example {
        Example::Minimal => vec![
            needed(
                "antiphon.toml".into(),
                include_str!("init/minimal/antiphon.toml"),
            ),
            needed(
                "knowledge/workshop.md".into(),
                include_str!("init/minimal/knowledge/workshop.md"),
            ),
        ],
        Example::Restaurant => {
            let mut files = vec![needed("antiphon.toml".into(), restaurant::CONFIGURATION)];
            let folders = [
                ("knowledge", restaurant::documents()),
                ("scenarios", restaurant::scenarios()),
            ];
            for (folder, texts) in folders {
                let named =
                    |(name, text): (String, String)| needed(format!("{folder}/{name}"), &text);
                files.extend(texts.into_iter().map(named));
            }
            files
        }
    };
    files.push(beside(".env.example", include_str!("init/env.example")));
    files.push(beside(".gitignore", include_str!("init/gitignore")));
    files
}

/// The files that were there already and need not be ours.
fn write(folder: &Path, files: &[File]) -> anyhow::Result<Vec<PathBuf>> {
    let there: Vec<String> = files
        .iter()
        .filter(|file| file.needed && folder.join(&file.path).symlink_metadata().is_ok())
        .map(|file| file.path.display().to_string())
        .collect();
    if !there.is_empty() {
        anyhow::bail!(
            "{} in {} is there already, and nothing was written; name another folder: antiphon init my-agent",
            there.join(", "),
            folder.display()
        );
    }
    let mut kept = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        let cannot = || format!("{} cannot be written", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(cannot)?;
        }
        // What has come meanwhile is not overwritten either.
        match fs::File::create_new(&path) {
            Ok(mut new) => new.write_all(file.text.as_bytes()).with_context(cannot)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !file.needed => {
                kept.push(file.path.clone());
            }
            Err(error) => return Err(error).with_context(cannot),
        }
    }
    Ok(kept)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn init(folder: &Path, example: Example) -> anyhow::Result<()> {
        let folder = folder.to_owned();
        run(&InitArgs { folder, example })
    }

    #[test]
    fn nothing_that_is_there_is_overwritten_and_nothing_is_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("knowledge");
        fs::create_dir(&mine).unwrap();
        fs::write(mine.join("workshop.md"), "mine").unwrap();
        let error = init(folder.path(), Example::Minimal).unwrap_err();
        assert!(error.to_string().contains("workshop.md"), "{error:#}");
        assert_eq!(
            fs::read_to_string(mine.join("workshop.md")).unwrap(),
            "mine"
        );
        assert!(!folder.path().join("antiphon.toml").exists());
    }

    #[test]
    fn in_a_repository_its_gitignore_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".gitignore"), "target\n").unwrap();
        init(folder.path(), Example::Minimal).unwrap();
        let text = fs::read_to_string(folder.path().join(".gitignore")).unwrap();
        assert_eq!(text, "target\n");
        assert!(folder.path().join(".env.example").exists());
    }

    #[test]
    fn a_folder_with_spaces_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("my-agent"), "my-agent");
        assert_eq!(quoted("Ada's agent"), r"'Ada'\''s agent'");
    }
}
