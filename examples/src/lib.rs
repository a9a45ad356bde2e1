//! One file per idea, in `examples/`:
//!
//! | example | idea | run |
//! |---|---|---|
//! | `opening_hours` | an agent with one tool, by typing | `OPENAI_API_KEY=… cargo run -p antiphon-examples --example opening_hours` |
