#!/usr/bin/env bash
# Speed: whole calls through the release binary, then its parts. Run it on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/speech.sh
echo "==> size of the release binary, the page in it"
scripts/web.sh
cargo build --release --quiet --bin antiphon
limit=30000000
size=$(wc -c < "${CARGO_TARGET_DIR:-target}/release/antiphon")
echo "$size bytes of $limit"
if [ "$size" -ge "$limit" ]; then
  echo "error: the release binary is too large; scripts/size.py says what is in it" >&2
  exit 1
fi
echo "==> whole calls (1 and 50 callers, barge-in)"
cargo bench --quiet -p antiphon --bench calls -- "$@"
for bench in dialogue:events silero:forward rtc:forward server:hostile knowledge:search; do
  echo "==> ${bench#*:}"
  cargo bench --quiet -p "antiphon-${bench%%:*}" --bench "${bench#*:}"
done
