"""LiveKit's JavaScript SDK in Chromium. Needs Node, Chromium and `npm install` in `browser/`; skipped without."""

import os
import pathlib
import shutil
import subprocess

import pytest
from support import server_url, token

BROWSER = pathlib.Path(__file__).parent / "browser"


def test_the_javascript_sdk_joins_publishes_hears_and_resumes(room_name):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not (chromium and shutil.which("node") and (BROWSER / "node_modules").exists()):
        pytest.skip("needs node, chromium and `npm install` in interop/server/browser")
    env = {
        **os.environ,
        "ANTIPHON_URL": server_url(),
        "TOKEN_A": token("ann", room_name),
        "TOKEN_B": token("bob", room_name),
        "CHROMIUM": chromium,
    }
    done = subprocess.run(["node", "run.mjs"], cwd=BROWSER, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
