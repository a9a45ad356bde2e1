//! Shows what a vector database that LlamaIndex filled gives: `search_database` reads one line of JSON, `{"kind", "url", "collection",
//! "schema", "secret"}`, then a question on each line, `{"vector", "top_k", "filter"}` or `{"words", "top_k", "filter"}`, and prints the ids of the nodes, their scores and
//! texts as one line of JSON, or `{"error"}`. What the `*VectorStore` classes of Python give can be laid beside it.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::stdin;

use antiphon_agent::provider::{Filter, Secret};
use antiphon_knowledge::database::store::{nearest, open};
use antiphon_knowledge::database::{Kind, Place};
use antiphon_knowledge::llamaindex::MetadataMode;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Where {
    kind: String,
    url: String,
    collection: Option<String>,
    schema: Option<String>,
    secret: Option<String>,
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    vector: Vec<f32>,
    words: Option<String>,
    top_k: usize,
    filter: Option<Filter>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = stdin().lines();
    let line = lines.next().ok_or("nothing was asked")??;
    let at: Where = serde_json::from_str(&line)?;
    let kind = match at.kind.as_str() {
        "pgvector" => Kind::PgVector,
        "qdrant" => Kind::Qdrant,
        "chroma" => Kind::Chroma,
        "milvus" => Kind::Milvus,
        "elasticsearch" => Kind::Elasticsearch,
        other => return Err(format!("no database is called {other}").into()),
    };
    let store = open(Place {
        kind,
        url: at.url,
        collection: at.collection,
        schema: at.schema,
        secret: at.secret.as_deref().and_then(Secret::new),
    })?;
    for line in lines {
        let question: Question = serde_json::from_str(&line?)?;
        let (vector, filter) = (&question.vector, question.filter.as_ref());
        let top_k = question.top_k;
        let found = match &question.words {
            Some(words) => store
                .by_words(words, top_k, filter)
                .await
                .map(Option::unwrap_or_default),
            None => nearest(&*store, "the model", vector, top_k, filter).await,
        };
        let answer = match found {
            Ok(hits) => {
                let hit = |hit: &antiphon_knowledge::database::Hit| {
                    json!([hit.node.id, hit.score, hit.node.content(MetadataMode::Llm)])
                };
                json!({"hits": hits.iter().map(hit).collect::<Vec<_>>()})
            }
            Err(error) => json!({"error": error.to_string(), "away": error.is_away()}),
        };
        println!("{answer}");
    }
    Ok(())
}
