//! Where descriptions are read and negotiated: never on a media thread. A description of hundreds of sections takes tens of
//! milliseconds; on the thread that forwards, everybody else's voice would wait for it.
//!
//! The work runs on tokio's blocking threads, in two lanes: who brings an ordinary description never waits behind one of
//! those that take long.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::limits::LARGE_SDP_BYTES;

/// How many negotiations run at once; the others wait in turn.
#[derive(Debug)]
pub(crate) struct Negotiator {
    ordinary: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Negotiator {
    /// For a machine with this many cores: large descriptions get half of them at most.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            ordinary: Arc::new(Semaphore::new(cores.max(1))),
            large: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// Do this when it is its turn. A caller that stops waiting does not stop work that has begun. `None`: it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let lane = if bytes > LARGE_SDP_BYTES {
            &self.large
        } else {
            &self.ordinary
        };
        let permit = Arc::clone(lane).acquire_owned().await.ok()?;
        let outcome = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        })
        .await;
        match outcome {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                if error.is_panic() {
                    crate::counters::panicked();
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_ordinary_description_does_not_wait_for_large_ones() {
        let negotiator = Arc::new(Negotiator::new(2));
        let (finish, wait) = mpsc::sync_channel::<()>(1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let busy = Arc::clone(&negotiator);
        let first = tokio::spawn(async move {
            busy.run(LARGE_SDP_BYTES + 1, move || {
                let _ = begun.send(());
                let _ = wait.recv();
            })
            .await
        });
        has_begun.await.unwrap();
        let busy = Arc::clone(&negotiator);
        let second = tokio::spawn(async move { busy.run(LARGE_SDP_BYTES + 1, || ()).await });
        assert_eq!(negotiator.run(LARGE_SDP_BYTES, || 7).await, Some(7));
        assert!(
            !second.is_finished(),
            "only half of the cores are for large ones"
        );
        drop(finish);
        assert_eq!(first.await.unwrap(), Some(()));
        assert_eq!(second.await.unwrap(), Some(()));
    }

    #[tokio::test]
    async fn a_panic_is_the_end_of_that_negotiation_only() {
        let negotiator = Negotiator::new(1);
        #[allow(clippy::panic)]
        let broken = negotiator.run(1, || panic!("on purpose")).await;
        assert_eq!(broken, None::<()>);
        assert_eq!(negotiator.run(1, || 7).await, Some(7));
    }
}
