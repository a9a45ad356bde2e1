#!/usr/bin/env bash
# The playground in headless Chromium, with a microphone that plays a file.
set -euo pipefail
cd "$(dirname "$0")/.."
# Ubuntu's chromium is a snap that cannot be run by tests: there any Chrome or Chromium named by CHROMIUM will do.
if [ -z "${CHROMIUM:-}" ]; then
  for browser in chromium google-chrome google-chrome-stable chromium-browser; do
    CHROMIUM=$(command -v "$browser") && break
  done
  [ -n "${CHROMIUM:-}" ] || { scripts/packages.sh chromium && CHROMIUM=$(command -v chromium); }
  export CHROMIUM
fi
cd interop/browser
if ! cmp -s package-lock.json node_modules/.installed; then
  echo "==> installing the npm packages of the browser tests"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
timeout 600 node --test --test-reporter=spec --test-concurrency=1
