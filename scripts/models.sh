#!/usr/bin/env bash
# The models that hear, speak and find by meaning on this machine (177 MB the first time), fetched by the program itself, which shows what it
# does: scripts/models.sh ANTIPHON. Whoever has keys for both needs none; `make run MODELS=no` does without. Safe to run again.
set -euo pipefail
has_key() { [ -n "${!1:-}" ] || grep -qsE "^(export )?$1=." .env; }
[ "${MODELS:-yes}" = no ] && exit 0
has_key DEEPGRAM_API_KEY && has_key OPENAI_API_KEY && exit 0
echo "==> models for this machine (make run MODELS=no does without)"
"$1" models fetch || echo "note: without models PocketSphinx hears and flite speaks; \`antiphon models fetch\` tries again"
