#!/usr/bin/env bash
# A wrapper of rustc for scripts/fuzz.sh: compiles this repository's own crates with the coverage counters that libFuzzer
# steers by, and everything else as always, so that the dependencies that `make test` has built are used as they are.
# Nothing here needs a nightly compiler. Build scripts and procedural macros run inside the compiler, where nobody counts.
rustc=$1
shift
own=${FUZZ_ROOT:?}/
case "${CARGO_MANIFEST_DIR:-}/" in
  "$own"*)
    case " $* " in
      *" --crate-name build_script_build "* | *" --crate-type proc-macro "* | *" --print "*) ;;
      *)
        exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
          -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
          -Cllvm-args=-sanitizer-coverage-trace-compares
        ;;
    esac
    ;;
esac
exec "$rustc" "$@"
