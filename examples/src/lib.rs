//! One file per idea, in `examples/`:
//!
//! | example | idea | run |
//! |---|---|---|
//! | `front_desk` | an agent with one tool and the whole command line of `antiphon` | `cargo run -p antiphon-examples --example front_desk -- dev` |
//! | `session` | a session without a room, event by event | `OPENAI_API_KEY=… cargo run -p antiphon-examples --example session` |
//!
//! `restaurant/` is the example that `antiphon dev` carries: documents, and tools on an embedded database.
