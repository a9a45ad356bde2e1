#!/usr/bin/env bash
# Everything that tests the project. Installs what it needs, says so, and is safe to run again.
#   scripts/test.sh [PART...]   parts: rust web python browser (all of them without arguments)
set -euo pipefail
cd "$(dirname "$0")/.."
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon}
export ANTIPHON_CACHE=$CACHE
export ANTIPHON_ARTIFACTS=${ANTIPHON_ARTIFACTS:-$PWD/artifacts}
parts=${*:-rust web python browser}
mkdir -p "$CACHE" "$ANTIPHON_ARTIFACTS"
scripts/speech.sh

# Once, by the program itself, as a user does. Always the whole workspace: a part of it would be compiled with other features.
fetch_models() {
  cargo build --workspace --bins --quiet
  ANTIPHON_MODELS=$CACHE/models "${CARGO_TARGET_DIR:-target}/debug/antiphon" models fetch "$@"
}

for part in $parts; do
  case $part in
    rust)
      echo "==> Rust: unit tests, scenarios in virtual time, properties"
      cargo test --workspace --quiet
      echo "==> Rust: what needs models"
      fetch_models
      # nobody else needs the optional ones
      fetch_models kokoro smart-turn-v3.2 whisper-base
      ANTIPHON_MODELS=$CACHE/models cargo test --workspace --quiet --test speech --test voice --test vectors -- --ignored
      ;;
    web)
      echo "==> playground: types and unit tests"
      (cd web && npm run --silent build && npm run --silent test)
      ;;
    python)
      echo "==> Python: the official SDKs of LiveKit, OpenAI and Deepgram against the binary; the agent on LiveKit's own server"
      cargo build --workspace --bins --examples --quiet
      fetch_models
      fetch_models smart-turn-v3.2
      scripts/python.sh "$CACHE/venv"
      scripts/python.sh "$CACHE/venv-agents" requirements-agents.txt
      scripts/python.sh "$CACHE/venv-llamaindex-0.9" requirements-llamaindex-0.9.txt
      # the newest of LiveKit's server whose dependencies are all published modules; 1.13.6 and later replace pion by forks
      scripts/go-program.sh "$CACHE/bin" livekit-server github.com/livekit/livekit-server/cmd/server v1.13.5
      # Let's Encrypt's server for tests of ACME clients, and the names that it looks up
      for program in pebble pebble-challtestsrv; do
        scripts/go-program.sh "$CACHE/bin" "$program" "github.com/letsencrypt/pebble/v2/cmd/$program" v2.10.3
      done
      export LIVEKIT_AGENTS_PYTHON="$CACHE/venv-agents/bin/python" LLAMA_INDEX_0_9_PYTHON="$CACHE/venv-llamaindex-0.9/bin/python"
      pytest=("$CACHE/venv/bin/python" -m pytest -q -p no:cacheprovider --durations 10)
      "${pytest[@]}" -n 3 --dist loadfile interop --ignore interop/call/test_questions.py
      # Alone: a caller whose sound has gaps, because the machine is busy, is misheard, and that says nothing about the ears.
      "${pytest[@]}" interop/call/test_questions.py
      ;;
    browser)
      echo "==> browser: headless Chromium on the playground"
      fetch_models
      scripts/python.sh "$CACHE/venv"
      scripts/browser.sh
      ;;
    *)
      echo "unknown part: $part" >&2
      exit 2
      ;;
  esac
done
