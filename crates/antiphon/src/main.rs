//! The binary.

fn main() -> std::process::ExitCode {
    antiphon::main()
}
