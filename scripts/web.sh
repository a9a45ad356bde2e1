#!/usr/bin/env bash
# Builds the playground into web/dist. Installs its npm packages when the lock file has changed. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/../web"
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)' 2>/dev/null; then
  echo "error: the playground is built with Node 20.19, 22.12 or newer; here is $(node --version 2>/dev/null || echo none)." >&2
  echo "       Install one from nodejs.org or your distribution's newer packages, then run this again." >&2
  exit 1
fi
command -v npm >/dev/null || { echo "error: Node is here but npm is not: install npm, then run this again." >&2; exit 1; }
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
