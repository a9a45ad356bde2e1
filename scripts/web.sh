#!/usr/bin/env bash
# Builds the playground into web/dist. Installs its npm packages when the lock file has changed. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/../web"
stamp=node_modules/.installed
if [ ! -e "$stamp" ] || ! cmp -s package-lock.json "$stamp"; then
  echo "==> installing the playground's npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi
if [ ! -e dist/index.html ] || [ -n "$(find src index.html public package.json vite.config.ts -newer dist/index.html -print -quit 2>/dev/null)" ]; then
  echo "==> building the playground"
  npm run --silent build
fi
