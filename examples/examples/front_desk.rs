//! An agent with one tool, with the whole command line of `antiphon`: page, worker, console.

use antiphon::prelude::*;

/// Says when the restaurant is open. Call it for every question about opening hours.
#[tool]
async fn opening_hours(
    /// The day of the week in English.
    day: String,
) -> Result<String, ToolError> {
    match day.to_lowercase().as_str() {
        "monday" => Ok("closed".into()),
        "saturday" | "sunday" => Ok("open from 10 to 23".into()),
        "tuesday" | "wednesday" | "thursday" | "friday" => Ok("open from 17 to 22".into()),
        _ => Err(ToolError::new("That is no day of the week.")),
    }
}

fn main() -> std::process::ExitCode {
    antiphon::run(|agent| {
        agent
            .name("front-desk")
            .instructions("You are the front desk of a small restaurant. Answer in one sentence.")
            .greeting("Hello, what can I do for you?")
            .tool(opening_hours)
    })
}
