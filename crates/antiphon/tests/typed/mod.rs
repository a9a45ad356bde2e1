//! A program that is started in a folder of its own, and typed to.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `command` in `folder` and in the environment that it was given, types `typed` and waits for its end.
pub(crate) fn typed(
    command: &mut Command,
    folder: &Path,
    arguments: &[&str],
    typed: &str,
) -> Output {
    let mut child = command
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(typed.as_bytes()); // it may not read
    drop(stdin);
    child.wait_with_output().unwrap()
}
