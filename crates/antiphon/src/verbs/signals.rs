//! SIGTERM and Ctrl-C: the first asks to drain, the second ends at once.

use tokio_util::sync::CancellationToken;

/// Two stages of stopping.
#[derive(Clone, Debug)]
pub struct Signals {
    /// No new calls; running ones may end.
    pub drain: CancellationToken,
    /// End now.
    pub end: CancellationToken,
}

/// Listen for both signals from now on.
pub fn listen() -> anyhow::Result<Signals> {
    let signals = Signals {
        drain: CancellationToken::new(),
        end: CancellationToken::new(),
    };
    let (drain, end) = (signals.drain.clone(), signals.end.clone());
    #[cfg(unix)]
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            #[cfg(unix)]
            let terminate = term.recv();
            #[cfg(not(unix))]
            let terminate = std::future::pending::<Option<()>>();
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate => {}
            }
            if drain.is_cancelled() {
                end.cancel();
                return;
            }
            drain.cancel();
        }
    });
    Ok(signals)
}
