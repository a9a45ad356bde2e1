//! What programs ask of a session, in the order in which they asked.

use antiphon_dialogue::Input;
use antiphon_dialogue::input::Command;
use tokio::sync::mpsc;

use super::Driver;
use super::change::Change;
use super::ending::Closed;
use crate::handle::{AgentSession, Closing, Request};

impl Driver {
    /// Carry one out.
    pub(super) fn requested(&mut self, request: Request) {
        match request {
            Request::Input(Input::Started) => {
                self.tell(Input::Started);
                if !std::mem::replace(&mut self.entered, true) {
                    self.exchange(None, self.agent.hooks.on_enter.clone());
                }
            }
            Request::Input(input) => self.tell(input),
            Request::Change(change) => match change.downcast::<Change>().map(|change| *change) {
                Ok(Change::Agent(agent)) => {
                    let agent = self.roster.spec(*agent);
                    self.tell(Input::Command(Command::UpdateAgent { agent }));
                }
                Ok(Change::Tools(tools, answer)) => self.update_tools(tools, answer),
                Err(_) => tracing::error!(
                    "an order that nothing here can carry out; please report this as a bug"
                ),
            },
            // nothing is said any more: who asked hears that it was interrupted
            Request::Speak(..) if self.closed == Closed::Yes => {}
            Request::Speak(command, id, status) => {
                self.speeches.insert(id, status);
                self.tell(Input::Command(command));
            }
            Request::Interrupt(order, answer) => self.interrupt(order, answer),
            Request::Watch(id, status) => self.speeches.watch(id, status),
            Request::UpdateOptions(patch, answer) => self.update_options(patch, answer),
            Request::UpdateInstructions(text) => self.update_instructions(text),
            Request::UpdateChatCtx(context) => self.update_chat_ctx(context),
            Request::ChatCtx(answer) => {
                let _ = answer.send(self.chat_ctx());
            }
            Request::History(answer) => {
                let _ = answer.send(self.history());
            }
            Request::Usage(answer) => {
                let _ = answer.send(self.usage());
            }
        }
    }

    /// An order to close overtakes what was asked before it, unless it drains: "goodbye" is said first.
    pub(super) fn ordered_to_close(
        &mut self,
        order: Closing,
        requests: &mut mpsc::Receiver<Request>,
    ) -> tokio::time::Instant {
        let limit = if order.drain {
            AgentSession::REQUEST_LIMIT
        } else {
            0
        };
        for _ in 0..limit {
            let Ok(request) = requests.try_recv() else {
                break;
            };
            self.requested(request);
        }
        self.close(order)
    }
}
