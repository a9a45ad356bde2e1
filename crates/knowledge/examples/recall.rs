//! How often the right passage stands first, for questions in other words than its own: `recall [--dump]` prints a table of words alone
//! and words with meaning, of `tests/fixtures/paraphrases.tsv` and `paraphrases-2.tsv`; `recall FOLDER QUESTIONS` of a folder of one's own, with a question, a tab
//! and the heading of its passage in each line.
#![allow(clippy::print_stdout, clippy::indexing_slicing)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use antiphon_agent::provider::{EmbedPurpose, Embedder, Query};
use antiphon_embedding::MiniLm;
use antiphon_knowledge::KnowledgeBase;
use antiphon_knowledge::embed::{Foreign, embed};
use antiphon_neural::Workers;

/// What none of the passages is about.
const ELSEWHERE: [&str; 20] = [
    "who won the war of the roses",
    "what is the capital of Peru",
    "tell me a joke",
    "how tall is Mount Everest",
    "can you sing me a song",
    "what is two plus two",
    "who is the president",
    "what's your favourite colour",
    "do you know my cousin Peter",
    "how do I bake sourdough bread",
    "which football team plays tonight",
    "how old are you",
    "what is the weather like in Madrid",
    "explain quantum entanglement",
    "when did the Roman empire fall",
    "can you translate this into French",
    "who wrote Hamlet",
    "what should I name my cat",
    "how far is the moon",
    "is there life on Mars",
];

/// The constants that rank by meaning were chosen on the first; on the second nothing was.
const PARAPHRASES: [(&str, &str); 2] = [
    (
        "the first set",
        include_str!("../tests/fixtures/paraphrases.tsv"),
    ),
    (
        "the second set",
        include_str!("../tests/fixtures/paraphrases-2.tsv"),
    ),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let models =
        std::env::var_os("ANTIPHON_MODELS").ok_or("ANTIPHON_MODELS names the folder of models")?;
    let folder = Path::new(&models).join("minilm");
    let embedder: Arc<dyn Embedder> =
        Arc::new(MiniLm::load(&folder, Workers::for_this_machine()?)?);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [folder, questions] = arguments.as_slice() {
        return of_folder(
            Path::new(folder),
            &std::fs::read_to_string(questions)?,
            embedder,
        )
        .await;
    }
    let dump = arguments.iter().any(|argument| argument == "--dump");
    for (name, passages) in PARAPHRASES {
        println!("{name}:");
        of_passages(passages, embedder.clone(), dump).await?;
    }
    Ok(())
}

/// A set of passages with questions for each.
async fn of_passages(
    passages: &str,
    embedder: Arc<dyn Embedder>,
    dump: bool,
) -> Result<(), Box<dyn Error>> {
    let lines = passages.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    let pages = rows
        .iter()
        .enumerate()
        .map(|(number, row)| (format!("{number}.md"), row[0].to_owned()));
    let base = KnowledgeBase::from_markdown(pages);
    let words = base.clone();
    let began = Instant::now();
    embed(&base, embedder.clone(), Foreign::Replaced, None, |_, _| {}).await?;
    println!(
        "{} passages embedded in {:.2?}",
        base.len(),
        began.elapsed()
    );
    let mut first = [0u32; 3];
    let mut third = [0u32; 3];
    let mut all = 0u32;
    for (number, row) in rows.iter().enumerate() {
        for question in &row[1..] {
            all += 1;
            let vector = embedder
                .embed(vec![(*question).to_owned()], EmbedPurpose::Query)
                .await?;
            let query = Query::from(*question);
            let ways = [
                words.ranked(&query, None),
                base.ranked(&query, vector.first().map(Vec::as_slice)),
            ];
            for (way, found) in ways.iter().enumerate() {
                let at = found.iter().position(|passage| passage.text == row[0]);
                first[way] += u32::from(at == Some(0));
                third[way] += u32::from(at.is_some_and(|at| at < 3));
            }
            if dump && ways[1].first().is_none_or(|passage| passage.text != row[0]) {
                println!(
                    "{number} {question}: {:?}",
                    ways[1]
                        .iter()
                        .map(|p| (p.score, &p.text))
                        .collect::<Vec<_>>()
                );
            }
        }
    }
    let mut silent = 0;
    for question in ELSEWHERE {
        let vector = embedder
            .embed(vec![question.to_owned()], EmbedPurpose::Query)
            .await?;
        let found = base.ranked(&question.into(), vector.first().map(Vec::as_slice));
        silent += u32::from(found.is_empty());
        if let Some(passage) = found.first().filter(|_| dump) {
            println!(
                "elsewhere: {question}: {:.2} {}",
                passage.score, passage.text
            );
        }
    }
    println!(
        "nothing is found for {silent} of {} questions about something else",
        ELSEWHERE.len()
    );
    for (way, name) in ["words", "words and meaning"].iter().enumerate() {
        println!(
            "{name:20} recall at 1 {:.2}, at 3 {:.2}, of {all}",
            f64::from(first[way]) / f64::from(all),
            f64::from(third[way]) / f64::from(all)
        );
    }
    Ok(())
}

/// The same of a folder, and which questions find something else.
async fn of_folder(
    folder: &Path,
    questions: &str,
    embedder: Arc<dyn Embedder>,
) -> Result<(), Box<dyn Error>> {
    let base = KnowledgeBase::load(folder, None)?.base;
    let words = base.clone();
    embed(&base, embedder.clone(), Foreign::Replaced, None, |_, _| {}).await?;
    let mut first = [0u32; 2];
    let mut all = 0;
    let lines = questions.lines().filter(|line| !line.starts_with('#'));
    for (question, heading) in lines.filter_map(|line| line.split_once('\t')) {
        all += 1;
        let texts = vec![question.to_owned()];
        let vector = embedder.embed(texts, EmbedPurpose::Query).await?;
        let query = Query::from(question);
        let ways = [
            words.ranked(&query, None),
            base.ranked(&query, vector.first().map(Vec::as_slice)),
        ];
        for (way, found) in ways.iter().enumerate() {
            let source = found.first().map_or("nothing", |passage| &passage.source);
            first[way] += u32::from(source.ends_with(heading));
            if !source.ends_with(heading) {
                println!("{way} {question}: {source}, not {heading}");
            }
        }
    }
    println!(
        "first by words {}, by words and meaning {}, of {all}",
        first[0], first[1]
    );
    Ok(())
}
