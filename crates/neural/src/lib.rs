//! Runs neural models for many calls at once.
//!
//! A model is loaded once and shared; what is scarce is the processor. [`Workers`] are a few threads of their own, so that a
//! model never runs on a thread that forwards sound or carries a dialogue. Each runs one job at a time on one core: ten short
//! jobs in turn are over sooner, on average, than ten that share the cores. A job that a caller waits for goes before one that
//! only improves what is known already ([`Urgency`]).

mod load;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rten::{RunOptions, ThreadPool};
use tokio::sync::oneshot;

pub use load::{load, load_bytes};

/// Jobs that wait, of each urgency. A job takes tens of milliseconds, so any job beyond this number would wait for seconds:
/// it is refused, and says so.
pub const MAX_WAITING: usize = 64;

/// How soon a job is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A caller waits for it: final words, the first sound of an answer.
    Waited,
    /// It improves what is known: words while the caller still speaks.
    Useful,
}

/// Why a job has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// Too many jobs wait.
    #[error(
        "the machine's models are busy: {MAX_WAITING} jobs wait. Take fewer calls at once, or give it more cores"
    )]
    Busy,
    /// The job panicked; that is a bug, and it is logged.
    #[error("a model's job ended by a fault of the program; the log says where")]
    Panicked,
}

type Job = Box<dyn FnOnce(&RunOptions) + Send>;

#[derive(Default)]
struct Queue {
    waited: VecDeque<Job>,
    useful: VecDeque<Job>,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // jobs run outside the lock, so what a panic leaves behind is whole
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; `None` when the workers are to end.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue
                .waited
                .pop_front()
                .or_else(|| queue.useful.pop_front())
            {
                return Some(job);
            }
            queue = self
                .news
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The threads. Dropping the last handle ends them after their present jobs.
#[derive(Clone)]
pub struct Workers {
    handle: Arc<Handle>,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.news.notify_all();
    }
}

impl Workers {
    /// So many threads as there are cores, less one for sound and dialogues; one at least.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn for_this_machine() -> std::io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(NonZeroUsize::new(cores.saturating_sub(1)).unwrap_or(NonZeroUsize::MIN))
    }

    /// `threads` threads.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn new(threads: NonZeroUsize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let workers = Self {
            handle: Arc::new(Handle(shared.clone())),
        };
        for number in 0..threads.get() {
            let shared = shared.clone();
            thread::Builder::new()
                .name(format!("neural-{number}"))
                .spawn(move || {
                    let pool = Arc::new(ThreadPool::with_num_threads(1));
                    let options = RunOptions::default().with_thread_pool(Some(pool));
                    while let Some(job) = shared.next() {
                        job(&options);
                    }
                })?;
        }
        Ok(workers)
    }

    /// Runs `work` when its turn comes. Dropping the future takes a waiting job out of the queue.
    ///
    /// # Errors
    /// [`WorkError::Busy`] when too many wait, [`WorkError::Panicked`] when `work` did.
    pub async fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&RunOptions) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |options| {
            if sender.is_closed() {
                return;
            }
            // the receiver may have gone meanwhile; what a panic leaves is dropped here
            if let Ok(result) = catch_unwind(AssertUnwindSafe(|| work(options))) {
                let _ = sender.send(result);
            } else {
                tracing::error!("a model's job panicked");
            }
        });
        self.push(urgency, job)?;
        receiver.await.map_err(|_| WorkError::Panicked)
    }

    fn push(&self, urgency: Urgency, job: Job) -> Result<(), WorkError> {
        let mut queue = self.handle.0.queue();
        let waiting = match urgency {
            Urgency::Waited => &mut queue.waited,
            Urgency::Useful => &mut queue.useful,
        };
        if waiting.len() >= MAX_WAITING {
            return Err(WorkError::Busy);
        }
        waiting.push_back(job);
        drop(queue);
        self.handle.0.news.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn one_worker() -> Workers {
        Workers::new(NonZeroUsize::MIN).expect("a thread")
    }

    /// Keeps the worker busy until the sender is dropped.
    fn block(
        workers: &Workers,
    ) -> (
        mpsc::SyncSender<()>,
        impl Future<Output = Result<(), WorkError>> + use<>,
    ) {
        let (sender, receiver) = mpsc::sync_channel::<()>(0);
        let (started, has_started) = mpsc::sync_channel(1);
        let workers = workers.clone();
        let future = async move {
            workers
                .run(Urgency::Waited, move |_| {
                    let _ = started.send(());
                    let _ = receiver.recv();
                })
                .await
        };
        let mut future = Box::pin(future);
        // poll once, so that the job is in the queue
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        has_started.recv().expect("the worker has begun");
        (sender, future)
    }

    #[tokio::test]
    async fn final_words_do_not_wait_for_interim_words() {
        let workers = one_worker();
        let (blocker, blocked) = block(&workers);
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let order = order.clone();
            move |_: &RunOptions| order.lock().expect("not poisoned").push(name)
        };
        let interim = workers.run(Urgency::Useful, note("interim"));
        let last = workers.run(Urgency::Waited, note("final"));
        let release = async {
            tokio::task::yield_now().await;
            drop(blocker);
        };
        let (_, interim, last, ()) = tokio::join!(blocked, interim, last, release);
        assert_eq!((interim, last), (Ok(()), Ok(())));
        assert_eq!(*order.lock().expect("not poisoned"), ["final", "interim"]);
    }

    #[tokio::test]
    async fn a_panic_costs_one_job_and_the_next_one_runs() {
        let workers = one_worker();
        let broken = workers
            .run(Urgency::Waited, |_| -> u32 { panic!("on purpose") })
            .await;
        assert_eq!(broken, Err(WorkError::Panicked));
        assert_eq!(workers.run(Urgency::Waited, |_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_told_so() {
        let workers = one_worker();
        let (blocker, blocked) = block(&workers);
        let mut waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| Box::pin(workers.run(Urgency::Useful, |_| ())))
            .collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for future in &mut waiting {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(
            workers.run(Urgency::Useful, |_| ()).await,
            Err(WorkError::Busy)
        );
        drop(blocker);
        assert_eq!(blocked.await, Ok(()));
        for future in waiting {
            assert_eq!(future.await, Ok(()));
        }
    }
}
