//! A stream written as a future: the body sends items, the stream polls it. No task is spawned, so dropping the stream drops
//! the request with it, and a reader that does not read slows the sender down.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use antiphon_agent::provider::BoxStream;
use futures_util::Stream;
use tokio::sync::mpsc;

struct Generator<T> {
    body: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    items: mpsc::Receiver<T>,
}

/// The stream of what `body` sends until it ends.
pub(crate) fn generate<T, F>(body: impl FnOnce(mpsc::Sender<T>) -> F) -> BoxStream<T>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, items) = mpsc::channel(1);
    Box::pin(Generator {
        body: Some(Box::pin(body(sender))),
        items,
    })
}

impl<T> Stream for Generator<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        if let Poll::Ready(Some(item)) = this.items.poll_recv(context) {
            return Poll::Ready(Some(item));
        }
        if let Some(body) = &mut this.body
            && body.as_mut().poll(context).is_ready()
        {
            this.body = None;
        }
        // The body has dropped its sender when it is gone, so this ends the stream after the last item.
        this.items.poll_recv(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::generate;

    #[tokio::test]
    async fn items_come_in_order_and_the_stream_ends_with_its_body() {
        let stream = generate(|items| async move {
            for number in 0..5 {
                if items.send(number).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(stream.collect::<Vec<i32>>().await, [0, 1, 2, 3, 4]);
    }
}
