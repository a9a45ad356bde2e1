//! The passages' vectors: those that came with them when they are of the same model, those that were made before and kept, and the
//! rest. Questions are answered by words until they are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{EmbedPurpose, Embedder};
use rustc_hash::FxHashMap;

use crate::base::KnowledgeBase;
use crate::llamaindex::node::sha256;
use crate::meaning::Meaning;
use crate::vectors::{MAX_DIMENSIONS, Vectors};

/// Texts of one request: what OpenAI's own library of LlamaIndex sends.
const BATCH: usize = 100;
/// Two vectors of one text by one model, computed on two machines, are at least this close.
const SAME_MODEL: f64 = 0.99;
/// The first line of a file of kept vectors.
const MAGIC: &str = "antiphon vectors 1";
/// Letters of a text's hash in that file.
const KEY: usize = 32;

/// Why passages cannot be found by meaning.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The index was made with another model.
    #[error(
        "the index was embedded with another model than {model} ({reason}); name the model that made it, \
         `[knowledge.embedding] model = \"…\"`, or leave `[knowledge.embedding]` out, and its passages are found by words and embedded anew"
    )]
    OtherModel {
        /// The model that is configured.
        model: String,
        /// What was seen.
        reason: String,
    },
    /// The model failed.
    #[error("{0}")]
    Provider(#[from] ProviderError),
    /// The model gave something else than asked.
    #[error("the embedding model {model} gave {what}; use another model")]
    Answer {
        /// Which.
        model: String,
        /// What it gave.
        what: String,
    },
}

/// Whether vectors that came with passages must be of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// The model was named: another one is an error.
    Refused,
    /// The model is what there is: vectors of another are left aside, and new ones are made.
    Replaced,
}

/// Embed what a base holds, then find by meaning in it. `kept` is a file for the vectors, so that the next start makes only those of
/// texts that are new; `progress` is told how many are there, of how many.
///
/// # Errors
/// [`EmbedError`]; the base is then searched by words, as before.
pub async fn embed(
    base: &KnowledgeBase,
    embedder: Arc<dyn Embedder>,
    foreign: Foreign,
    kept: Option<&Path>,
    mut progress: impl FnMut(usize, usize) + Send,
) -> Result<(), EmbedError> {
    if let Some(embedded) = base.embedded() {
        match difference(&*embedder, &embedded.vectors, &embedded.probes).await? {
            None => {
                base.set_meaning(Meaning {
                    embedder,
                    vectors: embedded.vectors.clone(),
                });
                return Ok(());
            }
            Some(reason) if foreign == Foreign::Refused => {
                return Err(EmbedError::OtherModel {
                    model: embedder.info().model,
                    reason,
                });
            }
            Some(reason) => {
                tracing::info!(
                    reason,
                    model = embedder.info().model,
                    "the index's own vectors are of another model; its passages are embedded anew"
                );
            }
        }
    }
    let texts: Vec<String> = base
        .chunks()
        .map(|chunk| KnowledgeBase::text_for_embedding(&chunk))
        .collect();
    let keys: Vec<String> = texts.iter().map(|text| key(text)).collect();
    let model = embedder.info().model;
    let mut known = kept
        .map(|file| Kept::read(file, &model))
        .unwrap_or_default();
    let wanted: Vec<usize> = (0..texts.len())
        .filter(|number| {
            keys.get(*number)
                .is_some_and(|key| !known.contains_key(key))
        })
        .collect();
    let there = texts.len() - wanted.len();
    progress(there, texts.len());
    for (batch, numbers) in wanted.chunks(BATCH).enumerate() {
        let asked: Vec<String> = numbers
            .iter()
            .filter_map(|number| texts.get(*number).cloned())
            .collect();
        let made = vectors(&*embedder, asked).await?;
        for (number, vector) in numbers.iter().zip(made) {
            if let Some(key) = keys.get(*number) {
                known.insert(key.clone(), vector);
            }
        }
        progress(
            there + (batch * BATCH + numbers.len()).min(wanted.len()),
            texts.len(),
        );
    }
    let dimensions = known.values().next().map_or(0, Vec::len);
    let mut vectors = Vectors::new(dimensions);
    for key in &keys {
        vectors.push(known.get(key).map(Vec::as_slice).unwrap_or_default());
    }
    if let Some(file) = kept.filter(|_| !wanted.is_empty())
        && let Err(error) = Kept::write(file, &model, &keys, &known)
    {
        tracing::warn!(%error, file = %file.display(), "the passages' vectors cannot be kept; they are made again at the next start");
    }
    let vectors = Arc::new(vectors);
    base.set_meaning(Meaning { embedder, vectors });
    Ok(())
}

/// Vectors of passages' texts, one for each and all of one width.
///
/// # Errors
/// [`EmbedError::Provider`] and [`EmbedError::Answer`].
pub async fn vectors(
    embedder: &dyn Embedder,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>, EmbedError> {
    let count = texts.len();
    let made = embedder.embed(texts, EmbedPurpose::Documents).await?;
    let width = made.first().map_or(0, Vec::len);
    let wrong = |what: String| EmbedError::Answer {
        model: embedder.info().model,
        what,
    };
    if made.len() != count {
        return Err(wrong(format!("{} vectors for {count} texts", made.len())));
    }
    if width == 0 || width > MAX_DIMENSIONS || made.iter().any(|vector| vector.len() != width) {
        return Err(wrong(format!(
            "vectors of no or of several widths (the first has {width} numbers)"
        )));
    }
    Ok(made)
}

/// `None`: these vectors are of that model; else why not.
async fn difference(
    embedder: &dyn Embedder,
    stored: &Vectors,
    probes: &[(usize, String)],
) -> Result<Option<String>, EmbedError> {
    let width = stored.dimensions();
    if let Some(own) = embedder.dimensions().filter(|own| *own != width) {
        return Ok(Some(format!("its vectors have {width} numbers, not {own}")));
    }
    let texts = probes.iter().map(|(_, text)| text.clone()).collect();
    let made = vectors(embedder, texts).await?;
    if let Some(own) = made.first().map(Vec::len).filter(|own| *own != width) {
        return Ok(Some(format!("its vectors have {width} numbers, not {own}")));
    }
    let cosines = probes
        .iter()
        .zip(&made)
        .map(|((number, _), vector)| stored.cosine_to(*number, vector));
    let best = cosines.fold(f64::NEG_INFINITY, f64::max);
    Ok((best < SAME_MODEL).then(|| {
        format!("a passage of it, embedded again, has a cosine of {best:.2} with its vector there")
    }))
}

fn key(text: &str) -> String {
    sha256(text).chars().take(KEY).collect()
}

/// Vectors by the hash of their text, in a file: two lines of text, then hash and numbers of each.
struct Kept;

impl Kept {
    fn read(file: &Path, model: &str) -> FxHashMap<String, Vec<f32>> {
        let bytes = fs::read(file).unwrap_or_default();
        Self::parse(&bytes, model).unwrap_or_default()
    }

    /// `None`: of another model, or no such file. It can be made again.
    fn parse(bytes: &[u8], model: &str) -> Option<FxHashMap<String, Vec<f32>>> {
        let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
        let (magic, named, width) = (lines.next()?, lines.next()?, lines.next()?);
        if magic != MAGIC.as_bytes() || named != model.as_bytes() {
            return None;
        }
        let width: usize = std::str::from_utf8(width).ok()?.parse().ok()?;
        if width == 0 || width > MAX_DIMENSIONS {
            return None;
        }
        let entries = lines.next()?.chunks_exact(KEY + 4 * width);
        entries
            .map(|entry| {
                let (key, numbers) = entry.split_at_checked(KEY)?;
                let (numbers, _) = numbers.as_chunks::<4>();
                let numbers = numbers.iter().copied().map(f32::from_le_bytes).collect();
                Some((String::from_utf8(key.to_vec()).ok()?, numbers))
            })
            .collect()
    }

    /// Whole or not at all: a file beside it takes its name at the end.
    fn write(
        file: &Path,
        model: &str,
        keys: &[String],
        known: &FxHashMap<String, Vec<f32>>,
    ) -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let width = known.values().next().map_or(0, Vec::len);
        let mut out = format!("{MAGIC}\n{model}\n{width}\n").into_bytes();
        // only those that are still wanted
        let mut seen: Vec<&String> = keys.iter().collect();
        seen.sort();
        seen.dedup();
        for key in seen {
            if let Some(vector) = known.get(key).filter(|vector| vector.len() == width) {
                out.extend_from_slice(key.as_bytes());
                out.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        let mut part = PathBuf::from(file).into_os_string();
        part.push(format!(".{}", std::process::id()));
        fs::write(&part, out)?;
        fs::rename(&part, file)
    }
}
