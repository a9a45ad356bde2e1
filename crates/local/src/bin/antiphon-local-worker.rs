//! The recogniser's worker process alone, for tests of this crate. The `antiphon` binary runs the same code when its first
//! argument is `__pocketsphinx`.

fn main() -> std::process::ExitCode {
    antiphon_local::worker::main()
}
