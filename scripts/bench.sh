#!/usr/bin/env bash
# Speed: whole calls through the release binary, then its parts. Run it on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/speech.sh
echo "==> whole calls (1 and 50 callers, barge-in)"
cargo bench --quiet -p antiphon --bench calls -- "$@"
for bench in dialogue:events silero:forward rtc:forward server:hostile knowledge:search; do
  echo "==> ${bench#*:}"
  cargo bench --quiet -p "antiphon-${bench%%:*}" --bench "${bench#*:}"
done
