#!/usr/bin/env bash
# The playground in headless Chromium, with a microphone that plays a file.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v chromium >/dev/null || scripts/packages.sh chromium
cd interop/browser
if ! cmp -s package-lock.json node_modules/.installed; then
  echo "==> installing the npm packages of the browser tests"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
timeout 600 node --test --test-reporter=spec --test-concurrency=1
