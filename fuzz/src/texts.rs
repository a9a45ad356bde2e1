//! Files of the person who runs it.

use std::io::{Cursor, Write as _};
use std::path::Path;

use antiphon_scenario::replay;
use antiphon::livekit::{LiveKitConfig, Sources};
use antiphon_scenario::Scenario;
use antiphon_knowledge::files::{Kind, MAX_TEXT_BYTES, Part, read};
use antiphon_knowledge::{KnowledgeBase, chunk, decode, html, llamaindex, split};

pub fn config(data: &[u8]) {
    let _ = antiphon::config::parse(&String::from_utf8_lossy(data), Path::new("antiphon.toml"));
}

/// A YAML file of LiveKit's, with what is made of it.
pub fn livekit_yaml(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let sources = Sources { text: Some(("livekit.yaml".to_owned(), text)), ..Sources::default() };
    if let Ok(config) = LiveKitConfig::read(&sources) {
        let _ = config.keys();
        // Files with secrets are not the fuzzer's to name.
        if config.key_file().is_none() && !String::from_utf8_lossy(data).contains("_file") {
            let _ = config.apply(antiphon_server::ServerConfig::dev());
        }
    }
}

pub fn scenario(data: &[u8]) {
    let _ = Scenario::parse(&String::from_utf8_lossy(data));
}

/// Whatever a file holds, reading it gives an error or a repeated conversation, never a panic.
pub fn recording(data: &[u8]) {
    let _ = replay(&String::from_utf8_lossy(data));
}

pub fn docstore(data: &[u8]) {
    let _ = llamaindex::parse(data);
}

/// Vectors by node, and numbers of every form.
pub fn vector_store(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(store) = llamaindex::vector_store::parse(&text) {
        assert_eq!(store.ids.len(), store.vectors.len(), "a node without a vector");
    }
}

/// A document that is no text. First byte: which kind.
pub fn files(data: &[u8]) {
    const KINDS: [Kind; 8] = [Kind::Pdf, Kind::Word, Kind::Slides, Kind::Sheet, Kind::Table, Kind::Json, Kind::JsonLines, Kind::Mail];
    let Some((kind, data)) = data.split_first() else { return };
    if let Some(kind) = KINDS.get(usize::from(*kind) % KINDS.len()) {
        parts(read(*kind, data));
    }
}

/// What stands inside a Word document, in the archive that the fuzzer does not write by itself.
pub fn word(data: &[u8]) {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let written = writer.start_file("word/document.xml", stored).map(|()| writer.write_all(data));
    if let (Ok(Ok(())), Ok(archive)) = (written, writer.finish()) {
        parts(read(Kind::Word, archive.get_ref()));
    }
}

fn parts(read: Result<Vec<Part>, String>) {
    for part in read.into_iter().flatten() {
        assert!(part.text().len() <= 2 * MAX_TEXT_BYTES, "more text than is kept");
        let chunks = chunk::parts("a.pdf", &[part]);
        assert!(chunks.iter().all(|chunk| !chunk.text.trim().is_empty()), "an empty passage");
    }
}

/// First byte: which kind of document.
pub fn documents(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let _ = decode::text(data, *kind > 127);
    let text = String::from_utf8_lossy(data);
    let chunks = match kind % 3 {
        0 => chunk::markdown("a.md", &text),
        1 => chunk::plain("a.txt", &text),
        _ => {
            let _ = split::page::html(&text);
            html::html("a.html", &text)
        }
    };
    assert!(chunks.iter().all(|chunk| !chunk.text.trim().is_empty()), "an empty passage");
    let base = KnowledgeBase::from_markdown([("a.md".to_owned(), text.clone().into_owned())]);
    let _ = base.find("when do you open on sundays");
    // questions are anybody's, in any language
    let _ = base.find(&text);
}
