#!/usr/bin/env bash
# The local speech engines of the keyless default: recognition by PocketSphinx, speech by flite and espeak-ng.
# Antiphon finds them at run time; without them it still runs, by typing or with API keys.
set -euo pipefail
if command -v apt-get >/dev/null; then
  "$(dirname "$0")/packages.sh" pocketsphinx pocketsphinx-en-us flite espeak-ng
else
  echo "note: no apt here; install pocketsphinx (with its US-English model), flite or espeak-ng for the keyless default"
fi
