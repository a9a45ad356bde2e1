//! Knowledge that cannot be searched, with scripted providers in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cast;

use std::sync::Arc;

use antiphon_agent::provider::{BoxFuture, Found, Knowledge, Query};
use antiphon_chat::Role;
use antiphon_dialogue::Event;
use antiphon_dialogue::event::{AgentState, Component};
use cast::{Script, reception, said, speaking, text, wait_for};

/// A database that is away.
struct Away;

impl Knowledge for Away {
    fn search(&self, _: Query) -> BoxFuture<'_, Found> {
        Box::pin(async { Found::failed("the handbook cannot be reached") })
    }
}

/// A database that never answers.
struct Silent;

impl Knowledge for Silent {
    fn search(&self, _: Query) -> BoxFuture<'_, Found> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn knowledge_that_is_away_is_told_of_and_the_caller_is_answered_without_it() {
    let sources: [(Arc<dyn Knowledge>, &str); 2] = [
        (Arc::new(Away), "the handbook cannot be reached"),
        (Arc::new(Silent), "the knowledge did not answer in time"),
    ];
    for (knowledge, reason) in sources {
        let script = Script::new(vec![vec![text("I do not know.")]]);
        let (session, _heard) = speaking(reception(&script).knowledge(knowledge));
        let mut events = session.events();
        session.user_text("When are you open?").unwrap();
        let told = wait_for(&mut events, |event| matches!(event, Event::Error { .. })).await;
        let Event::Error {
            component: Component::Knowledge,
            message,
            recoverable: true,
        } = told
        else {
            panic!("{told:?}");
        };
        assert_eq!(message, reason);
        wait_for(&mut events, |event| {
            matches!(
                event,
                Event::AgentStateChanged {
                    new_state: AgentState::Speaking,
                    ..
                }
            )
        })
        .await;
        wait_for(&mut events, |event| {
            matches!(
                event,
                Event::AgentStateChanged {
                    new_state: AgentState::Listening,
                    ..
                }
            )
        })
        .await;
        assert_eq!(
            said(&session.history().await, Role::Assistant),
            ["I do not know."]
        );
    }
}
