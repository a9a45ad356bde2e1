//! The configuration and the documents, carried in the binary so that `antiphon dev` works in an empty folder.

use rust_embed::RustEmbed;

/// The example's `antiphon.toml`.
pub const CONFIGURATION: &str = include_str!("../antiphon.toml");

#[derive(RustEmbed)]
#[folder = "knowledge"]
struct Documents;

#[derive(RustEmbed)]
#[folder = "scenarios"]
struct Scenarios;

/// The example's documents: file name and text.
pub fn documents() -> Vec<(String, String)> {
    texts::<Documents>()
}

/// Scenarios that test the example (`antiphon simulate`): file name and text.
pub fn scenarios() -> Vec<(String, String)> {
    texts::<Scenarios>()
}

fn texts<F: RustEmbed>() -> Vec<(String, String)> {
    F::iter()
        .filter_map(|name| {
            let file = F::get(&name)?;
            Some((
                name.into_owned(),
                String::from_utf8_lossy(&file.data).into_owned(),
            ))
        })
        .collect()
}
