#!/usr/bin/env bash
# Makes the virtual environment of Python tests in $1 from a list of interop/, requirements.txt without $2. Safe to run again.
set -euo pipefail
venv=$1
list=${2:-requirements.txt}
requirements="$(dirname "$0")/../interop/$list"
if [ ! -x "$venv/bin/python" ]; then
  python3 -c 'import venv, ensurepip' 2>/dev/null || "$(dirname "$0")/packages.sh" python3-venv
  echo "==> making the Python environment $venv"
  python3 -m venv "$venv"
fi
if ! cmp -s "$requirements" "$venv/installed.txt"; then
  echo "==> installing the Python packages of interop/$list"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$venv/installed.txt"
fi
