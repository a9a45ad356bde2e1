//! Texts become the same vectors as elsewhere. `fixtures/reference.json` is what Hugging Face's tokenizers and ONNX Runtime make of
//! them (`reference.py`). Needs the model: `antiphon models fetch minilm`, and `ANTIPHON_MODELS`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use antiphon_agent::provider::{EmbedPurpose, Embedder as _};
use antiphon_embedding::MiniLm;
use antiphon_neural::Workers;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Option<Vec<i32>>,
    vector: Option<Vec<f32>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("fixtures/reference.json")).unwrap()
}

fn model() -> MiniLm {
    let models = std::env::var_os("ANTIPHON_MODELS").unwrap();
    let folder = std::path::Path::new(&models).join("minilm");
    MiniLm::load(&folder, Workers::for_this_machine().unwrap()).unwrap()
}

#[test]
#[ignore = "needs the model: scripts/test.sh"]
fn words_are_taken_apart_as_the_models_own_tokenizer_does_it() {
    let model = model();
    for case in cases() {
        if let Some(ids) = case.ids {
            assert_eq!(model.tokens(&case.text), ids, "{:?}", case.text);
        }
    }
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn vectors_equal_those_of_another_runtime_with_another_export() {
    let model = model();
    let mut compared = 0;
    for case in cases() {
        let Some(expected) = case.vector else {
            continue;
        };
        let made = model
            .embed(vec![case.text.clone()], EmbedPurpose::Query)
            .await
            .unwrap();
        let cosine: f32 = made[0].iter().zip(&expected).map(|(a, b)| a * b).sum();
        println!("{cosine:.7} {:.40}", case.text);
        assert!(cosine > 0.9999, "{cosine} {:?}", case.text);
        compared += 1;
    }
    assert!(compared >= 9);
}
