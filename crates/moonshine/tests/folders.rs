//! Folders that hold no whole model: what is said about them.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use antiphon_moonshine::{ModelKind, Transcriber, kind_of};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    folder
}

fn refused(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    Transcriber::load(folder.path()).unwrap_err().to_string()
}

const WHISPER: &str = r#"{"model":{"vocab":{"a":0}},"decoder":{"type":"ByteLevel"},
    "added_tokens":[{"id":1,"content":"<|startoftranscript|>"},{"id":2,"content":"<|endoftext|>"}]}"#;
const MOONSHINE: &str = r#"{"model":{"vocab":{"a":0}},"added_tokens":[{"id":1,"content":"<s>"}]}"#;

#[test]
fn a_folder_without_a_model_is_refused_with_what_belongs_there() {
    for files in [
        &[][..],
        &[("notes.txt", "x")],
        &[("tokenizer.json", WHISPER)],
    ] {
        let error = refused(files);
        assert!(
            error.contains("encoder_model.onnx") && error.contains("model.bin"),
            "{error}"
        );
    }
    assert!(Transcriber::load(Path::new("/nowhere")).is_err());
}

#[test]
fn a_file_that_is_missing_is_named() {
    let no_tokenizer = refused(&[
        ("encoder_model.onnx", ""),
        ("decoder_model_merged.onnx", ""),
    ]);
    assert!(
        no_tokenizer.contains("has no tokenizer.json"),
        "{no_tokenizer}"
    );
    let no_tokenizer = refused(&[("model.bin", "")]);
    assert!(no_tokenizer.contains("model.bin"), "{no_tokenizer}");
}

#[test]
fn a_file_that_is_damaged_is_named() {
    let whisper = [
        ("onnx/encoder_model_quantized.onnx", "no model"),
        ("tokenizer.json", WHISPER),
    ];
    let damaged = refused(&whisper);
    assert!(
        damaged.contains("encoder_model_quantized.onnx cannot be loaded"),
        "{damaged}"
    );
    let damaged = refused(&[("encoder_model.onnx", ""), ("tokenizer.json", "{}")]);
    assert!(damaged.contains("tokenizer.json is damaged"), "{damaged}");
    let damaged = refused(&[("model.bin", "no model"), ("tokenizer.json", WHISPER)]);
    assert!(damaged.contains("model.bin cannot be loaded"), "{damaged}");
}

#[test]
fn whisper_and_moonshine_are_told_apart_without_loading_them() {
    let kind = |files: &[(&str, &str)]| kind_of(folder(files).path());
    let export = ("onnx/encoder_model_int8.onnx", "");
    assert_eq!(
        kind(&[export, ("tokenizer.json", WHISPER)]),
        Ok(ModelKind::Whisper)
    );
    assert_eq!(
        kind(&[export, ("tokenizer.json", MOONSHINE)]),
        Ok(ModelKind::Moonshine)
    );
    assert_eq!(
        kind(&[export, ("tokenizer.bin", "")]),
        Ok(ModelKind::Moonshine)
    );
    assert_eq!(kind(&[("model.bin", "")]), Ok(ModelKind::Whisper));
}
