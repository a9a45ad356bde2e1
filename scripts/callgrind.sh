#!/usr/bin/env bash
# Counts the instructions that the dialogue takes for one long call, and compares with the committed limit. The count is the
# same on every run of the same build; the limit leaves 10 % for other compilers. `scripts/callgrind.sh --accept` writes a new one.
set -euo pipefail
cd "$(dirname "$0")/.."
limit_file=crates/dialogue/benches/instructions.limit
if ! scripts/packages.sh valgrind >&2 || ! command -v valgrind >/dev/null; then
  echo "skipped: valgrind cannot be installed here, so no instructions were counted" >&2
  exit 0
fi
# only the machine itself: no link-time work, no other crate
binary=$(cargo bench --quiet -p antiphon-dialogue --bench instructions --no-run --message-format=json |
  sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
events=$(valgrind --tool=callgrind --callgrind-out-file="$out" --toggle-collect='*whole_call*' "$binary" 2>/dev/null |
  sed -n 's/^events //p')
count=$(sed -n 's/^\(totals\|summary\): \([0-9]*\).*/\2/p' "$out" | tail -1)
[ -n "$count" ] && [ "$count" -gt 0 ] || { echo "error: callgrind counted nothing" >&2; exit 1; }
each=$((count / events))
if [ "${1:-}" = --accept ]; then
  echo $((each + each / 10)) >"$limit_file"
fi
limit=$(cat "$limit_file")
echo "==> dialogue: $each instructions an event ($events events), at most $limit"
[ "$each" -le "$limit" ] || { echo "error: more instructions than $limit_file allows" >&2; exit 1; }
