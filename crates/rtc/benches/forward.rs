//! Forwarding throughput (written below once the engine runs).
fn main() {}
