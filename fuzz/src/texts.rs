//! Files of the person who runs it.

use std::path::Path;

use antiphon_scenario::replay;
use antiphon::livekit::{LiveKitConfig, Sources};
use antiphon_scenario::Scenario;
use antiphon_knowledge::{KnowledgeBase, chunk, decode, html, llamaindex};

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

/// First byte: which kind of document.
pub fn documents(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let _ = decode::text(data, *kind > 127);
    let text = String::from_utf8_lossy(data);
    let chunks = match kind % 3 {
        0 => chunk::markdown("a.md", &text),
        1 => chunk::plain("a.txt", &text),
        _ => html::html("a.html", &text),
    };
    assert!(chunks.iter().all(|chunk| !chunk.text.trim().is_empty()), "an empty passage");
    let base = KnowledgeBase::from_markdown([("a.md".to_owned(), text.into_owned())]);
    let _ = base.find("when do you open on sundays");
}
