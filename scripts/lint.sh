#!/usr/bin/env bash
# Formatting, clippy with warnings denied, cargo-deny, and what this repository has agreed on: arrows, mutants, READMEs, file lengths.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "==> cargo fmt"
cargo fmt --all --check
echo "==> cargo clippy"
cargo clippy --workspace --all-targets --quiet -- -D warnings
echo "==> cargo deny"
scripts/deny.sh
echo "==> arrows between crates"
scripts/arrows.sh
echo "==> mutants of the dialogue still find what they change"
scripts/mutants.sh --check
echo "==> every crate says what it is"
bare=$(for crate in crates/*/; do [ -f "$crate/README.md" ] || echo "$crate"; done)
[ -z "$bare" ] || { echo "write a README.md (what it is, what it is not, what it may use):"; echo "$bare"; exit 1; }
echo "==> files over 600 lines"
long=$(git ls-files 'crates/*.rs' 'examples/*.rs' 'web/src/*' | xargs wc -l | awk '$2 != "total" && $1 > 600')
[ -z "$long" ] || { echo "split these:"; echo "$long"; exit 1; }
