//! all-MiniLM-L6-v2 (Apache-2.0): a sentence as 384 numbers, English, made for questions and the passages that answer them.

use std::path::Path;
use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, EmbedPurpose, Embedder, ProviderInfo};
use antiphon_neural::{Urgency, Workers};
use rten::{Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use crate::EmbeddingError;
use crate::wordpiece::WordPiece;

/// The model's name, as its makers and LlamaIndex's users know it.
pub const MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";
/// Numbers of a vector.
pub const DIMENSIONS: usize = 384;
/// Word pieces of a text that are read (`max_seq_length` of its makers); about 190 words. What follows does not count.
pub const MAX_TOKENS: usize = 256;

/// The model. Cloning shares it.
#[derive(Clone)]
pub struct MiniLm {
    network: Arc<Network>,
    workers: Workers,
}

impl std::fmt::Debug for MiniLm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MiniLm").finish_non_exhaustive()
    }
}

struct Network {
    tokenizer: WordPiece,
    model: Model,
    ids: NodeId,
    positions: NodeId,
    embedding: NodeId,
}

impl MiniLm {
    /// Loads the model in `folder`; `workers` run it.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load(folder: &Path, workers: Workers) -> Result<Self, EmbeddingError> {
        let file = folder.join("vocab.txt");
        let failed = |message: String| EmbeddingError::File {
            file: file.clone(),
            message,
        };
        let vocabulary =
            std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        let tokenizer = WordPiece::new(&vocabulary).map_err(failed)?;
        let file = folder.join("model.onnx");
        let failed = |message: String| EmbeddingError::File {
            file: file.clone(),
            message,
        };
        let model = antiphon_neural::load(&file).map_err(|error| failed(error.to_string()))?;
        let node = |name: &str| {
            model
                .node_id(name)
                .map_err(|_| failed(format!("it has no {name}")))
        };
        let network = Network {
            ids: node("input_ids")?,
            positions: node("position_ids")?,
            embedding: node("embedding")?,
            tokenizer,
            model,
        };
        Ok(Self {
            network: Arc::new(network),
            workers,
        })
    }

    /// The word pieces of a text, as the model reads it.
    pub fn tokens(&self, text: &str) -> Vec<i32> {
        self.network.tokenizer.ids(text, MAX_TOKENS)
    }
}

impl Network {
    /// A vector of length 1.
    fn embed(&self, text: &str, options: &RunOptions) -> Result<Vec<f32>, EmbeddingError> {
        let ids = self.tokenizer.ids(text, MAX_TOKENS);
        let length = ids.len();
        let positions: Vec<i32> = (0..).take(length).collect();
        let ids: Value = NdTensor::from_data([1, length], ids).into();
        let positions: Value = NdTensor::from_data([1, length], positions).into();
        let inputs = vec![
            (self.ids, ValueOrView::from(ids)),
            (self.positions, ValueOrView::from(positions)),
        ];
        let [output] = self
            .model
            .run_n(inputs, [self.embedding], Some(options.clone()))
            .map_err(|error| EmbeddingError::Run(error.to_string()))?;
        let tensor: NdTensor<f32, 2> = output
            .try_into()
            .map_err(|_| EmbeddingError::Run("its output is no vector".into()))?;
        let mut vector = tensor.to_vec();
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        for value in &mut vector {
            *value /= norm.max(f32::MIN_POSITIVE);
        }
        Ok(vector)
    }
}

impl Embedder for MiniLm {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "local",
            model: MODEL.to_owned(),
        }
    }

    fn dimensions(&self) -> Option<usize> {
        Some(DIMENSIONS)
    }

    fn language(&self) -> Option<&'static str> {
        Some("en")
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbedPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, ProviderError>> {
        let urgency = match purpose {
            EmbedPurpose::Query => Urgency::Waited,
            EmbedPurpose::Documents => Urgency::Useful,
        };
        let unavailable = |error: &dyn std::fmt::Display| ProviderError::Unavailable {
            engine: "minilm",
            message: error.to_string(),
        };
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            // one after the other: documents never take more than one place in the queue before a caller's words
            for text in texts {
                let network = self.network.clone();
                let made = self
                    .workers
                    .run(urgency, move |options| network.embed(&text, options))
                    .await;
                let made = made.map_err(|error| unavailable(&error))?;
                vectors.push(made.map_err(|error| unavailable(&error))?);
            }
            Ok(vectors)
        })
    }
}
