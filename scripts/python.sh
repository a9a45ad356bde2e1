#!/usr/bin/env bash
# Makes the virtual environment of the Python tests in $1 from interop/requirements.txt. Safe to run again.
set -euo pipefail
venv=$1
requirements="$(dirname "$0")/../interop/requirements.txt"
if [ ! -x "$venv/bin/python" ]; then
  python3 -c 'import venv, ensurepip' 2>/dev/null || "$(dirname "$0")/packages.sh" python3-venv
  echo "==> making the Python environment $venv"
  python3 -m venv "$venv"
fi
if ! cmp -s "$requirements" "$venv/installed.txt"; then
  echo "==> installing the Python packages of interop/requirements.txt"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$venv/installed.txt"
fi
