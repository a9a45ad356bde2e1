//! How soon a voice is heard and how fast it is made:
//! `cargo run --release -p antiphon-hibari --example speed [am_michael]`. A name is that of a voice of Kokoro.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon_agent::provider::{Tts, TtsChunk};
use antiphon_hibari::VoiceTts;
use antiphon_neural::Workers;
use futures_util::StreamExt as _;

const SENTENCES: [&str; 12] = [
    "The Olive Press, good day! How can I help you?",
    "We are open from Tuesday to Sunday, from noon to ten in the evening.",
    "Yes, dogs are welcome on the terrace.",
    "Your table for four is booked for Friday at 7:30 pm.",
    "That comes to $436.56.",
    "May I have your name, please?",
    "The fish soup is made of whatever came in that morning, so it may have mussels, prawns or squid in it, and it is served with bread.",
    "I am sorry, I did not catch that.",
    "You can reach us at 555-2368.",
    "We have a table by the window and one on the terrace, where it may be cool at night.",
    "Shall I book it?",
    "Thank you for calling, goodbye!",
];
const ROUNDS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let models =
        std::env::var_os("ANTIPHON_MODELS").ok_or("set ANTIPHON_MODELS to the folder of models")?;
    let start = Instant::now();
    let (models, workers) = (Path::new(&models), Workers::for_this_machine()?);
    let tts = match std::env::args().nth(1) {
        None => VoiceTts::hibari(&models.join("hibari-heart"), workers, 1.0)?,
        Some(name) => VoiceTts::kokoro(&models.join("kokoro"), &name, workers, 1.0)?,
    };
    println!("loaded in {} ms", start.elapsed().as_millis());
    let (mut firsts, mut spoken, mut took) = (Vec::new(), 0.0, Duration::ZERO);
    for sentence in SENTENCES.iter().cycle().take(SENTENCES.len() * ROUNDS) {
        let start = Instant::now();
        let mut stream = tts.synthesize((*sentence).into());
        let mut first = None;
        while let Some(chunk) = stream.next().await {
            if let TtsChunk::Audio(frame) = chunk? {
                first.get_or_insert_with(|| start.elapsed());
                spoken += frame.duration().as_secs_f64();
            }
        }
        took += start.elapsed();
        firsts.extend(first);
    }
    firsts.sort();
    let at = |share: f64| {
        firsts
            .get((firsts.len() as f64 * share) as usize)
            .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    println!(
        "first sound after {:.0} ms at the median, {:.0} at the 95th percentile",
        at(0.5),
        at(0.95)
    );
    println!(
        "{spoken:.1} s of sound in {:.2} s: {:.4} of real time",
        took.as_secs_f64(),
        took.as_secs_f64() / spoken
    );
    Ok(())
}
