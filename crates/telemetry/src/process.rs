//! What the process itself uses, from `/proc` (nothing elsewhere than on Linux).

use crate::names;

/// Clock ticks a second in `/proc/self/stat`: the kernel's USER_HZ, 100 on every Linux architecture in use.
const USER_HZ: f64 = 100.0;
/// The kernel counts resident memory here in kB.
const KIB: f64 = 1024.0;

/// Read them and set the gauges; called before metrics are rendered.
pub fn record() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kib) = field(&status, "VmRSS:") {
        ::metrics::gauge!(names::PROCESS_RESIDENT_MEMORY_BYTES).set(kib * KIB);
    }
    if let Some(threads) = field(&status, "Threads:") {
        ::metrics::gauge!(names::PROCESS_THREADS).set(threads);
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(seconds) = cpu_seconds(&stat) {
        ::metrics::gauge!(names::PROCESS_CPU_SECONDS_TOTAL).set(seconds);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        ::metrics::gauge!(names::PROCESS_OPEN_FDS).set(open.count() as f64);
    }
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time. The program's name, second in the line, may hold spaces and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_threads_and_cpu_time_are_read() {
        assert_eq!(
            field("Name:\tx\nVmRSS:\t  1234 kB\nThreads:\t7\n", "VmRSS:"),
            Some(1234.0)
        );
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }
}
