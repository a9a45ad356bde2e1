//! Keys and certificates that have changed are read again, without a restart: on SIGHUP, and when a file has another time.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use antiphon_server::Running;

use super::settings::{Settings, keys};
use crate::cli::ServeArgs;
use crate::livekit::{LiveKitConfig, Sources};

/// How often files are looked at. Certificates are renewed weeks before they end.
const INTERVAL: Duration = Duration::from_secs(10);

/// Runs until it is dropped.
pub(super) async fn reload(
    running: &Running,
    args: &ServeArgs,
    settings: &Settings,
    mut hangup: Hangup,
) -> std::convert::Infallible {
    let keys_file = settings.key_file.clone();
    let mut files: Vec<PathBuf> = keys_file.into_iter().collect();
    files.extend(running.certificate_files());
    let yaml = args.config.clone();
    let mut known = times(&files);
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        let asked = tokio::select! {
            () = hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        let now = times(&files);
        if asked || now != known {
            known = now;
            read_again(running, args, settings, yaml.as_deref(), asked);
        }
    }
}

/// What cannot be used leaves what was used before, and says so.
fn read_again(
    running: &Running,
    args: &ServeArgs,
    settings: &Settings,
    yaml: Option<&Path>,
    asked: bool,
) {
    // The section `keys` is read again when it is asked for; a key file whenever it changes.
    let livekit = match yaml.filter(|path| asked && super::settings::is_yaml(path)) {
        Some(path) => Sources::file(path).and_then(|sources| {
            let lenient = true;
            LiveKitConfig::read(&Sources { lenient, ..sources })
        }),
        None => Ok(settings.livekit.clone()),
    };
    let fresh = livekit
        .map_err(anyhow::Error::from)
        .and_then(|livekit| keys(args, &livekit, settings.key_file.as_deref(), settings.dev));
    match fresh {
        Ok(keys) => {
            let count = keys.iter().count();
            if running.replace_keys(keys) {
                tracing::info!(count, "API keys were read again");
            }
        }
        Err(error) => {
            tracing::error!(%error, "API keys could not be read again; those from before stay valid")
        }
    }
    match running.reload_certificates() {
        Ok(true) => tracing::info!("certificates were read again"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(%error, "a certificate could not be read again; the one from before stays in use")
        }
    }
}

fn times(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let time = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    files.iter().map(time).collect()
}

/// SIGHUP, where there is such a thing.
pub(super) struct Hangup {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangup {
    /// From now on: before, SIGHUP ends the process.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    async fn recv(&mut self) {
        #[cfg(unix)]
        if self.signal.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}
