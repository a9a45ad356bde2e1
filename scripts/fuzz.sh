#!/usr/bin/env bash
# Fuzzes every parser of outside bytes, the dialogue included. What it finds stands in artifacts/fuzz/ and ends the run with
# an error; give such a file as FILE to see it again.
#   SECONDS_EACH=60 scripts/fuzz.sh [TARGET...]      all targets without arguments
#   FILE=artifacts/fuzz/… scripts/fuzz.sh TARGET     one input
# Stable Rust is enough and cargo-fuzz is not needed: libFuzzer comes with the crate libfuzzer-sys and is compiled here by
# the C++ compiler, the only thing that may have to be installed; rustc itself inserts the counters (scripts/fuzz-rustc.sh).
# No address sanitizer: that one does need nightly, and Antiphon's own code is free of `unsafe`.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ANTIPHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon}
seconds=${SECONDS_EACH:-60}
found=${ANTIPHON_ARTIFACTS:-$PWD/artifacts}/fuzz
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
known=$(sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' fuzz/src/main.rs)
targets=${*:-$known}

command -v c++ >/dev/null || scripts/packages.sh g++
echo "==> building the targets"
# the very versions of the dependencies that are shipped
cp Cargo.lock fuzz/Cargo.lock
(cd fuzz && FUZZ_ROOT=$(cd .. && pwd) RUSTC_WRAPPER=$(cd .. && pwd)/scripts/fuzz-rustc.sh cargo build --quiet)
mkdir -p "$found"

bad=0
for target in $targets; do
  export ANTIPHON_FUZZ=$target
  if [ -n "${FILE:-}" ]; then
    exec "$CARGO_TARGET_DIR/debug/antiphon-fuzz" "$FILE"
  fi
  corpus=$cache/fuzz/$target
  mkdir -p "$corpus" "fuzz/seeds/$target"
  log=$found/$target.log
  if nice -n 10 "$CARGO_TARGET_DIR/debug/antiphon-fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=8192 \
    -artifact_prefix="$found/$target-" "$corpus" "fuzz/seeds/$target" >"$log" 2>&1; then
    printf '%-12s %s\n' "$target" "$(grep '^Done ' "$log" || echo done)"
  else
    bad=1
    printf '%-12s FOUND SOMETHING, see %s\n' "$target" "$log"
    grep -E 'panicked|ERROR|Test unit written' "$log" | head -5 || true
  fi
done
exit $bad
