//! The release binary as a user starts it, and what it uses.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon_simulator::Simulator;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Ticks of `/proc/PID/stat`: 100 a second on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A running `antiphon dev`.
pub(crate) struct Antiphon {
    child: Child,
    _folder: tempfile::TempDir,
    /// For clients.
    pub(crate) url: String,
}

/// What a process has used so far.
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Bytes in memory.
    pub(crate) resident: u64,
}

impl Antiphon {
    pub(crate) fn start(simulator: &Simulator) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let config = "name = \"bench\"\n[turn]\npreemptive_generation = false\n[limits]\njoins_per_second = 1000\n\
             max_sessions = 1000\n[telemetry]\nlog_level = \"error\"\n";
        std::fs::write(folder.path().join("antiphon.toml"), config)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["dev", "--port", "0", "--udp-port", "0"])
            .current_dir(folder.path())
            .env("DEEPGRAM_API_KEY", "bench")
            .env("DEEPGRAM_BASE_URL", simulator.deepgram_base_url())
            .env("OPENAI_API_KEY", "bench")
            .env("OPENAI_BASE_URL", simulator.openai_base_url())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let first = lines.next().ok_or("antiphon ended at once")??;
        // The rest is read so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        let start = first.find("http://").ok_or(first.clone())?;
        let url = first[start..]
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .replacen("http", "ws", 1);
        Ok(Self {
            child,
            _folder: folder,
            url,
        })
    }

    pub(crate) fn usage(&self) -> Result<Usage, Error> {
        let pid = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold spaces; utime and stime are fields 14 and 15 of the line.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields.get(11).ok_or("stat")?.parse::<u64>()?
            + fields.get(12).ok_or("stat")?.parse::<u64>()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or_default();
        let kib: u64 = resident.split_whitespace().next().unwrap_or("0").parse()?;
        Ok(Usage {
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
            resident: kib * 1024,
        })
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Antiphon {
    fn drop(&mut self) {
        self.stop();
    }
}
