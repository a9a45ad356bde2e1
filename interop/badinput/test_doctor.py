"""`antiphon doctor` on a machine where something is wrong: it finds it, says how to mend it, and its exit code tells."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SECRETS, binary

sys.path.insert(0, str(ROOT / "interop" / "call"))
from simulated import start_simulator  # noqa: E402

SECRET = "0123456789abcdef-never-print"


def examined(folder: Path, *arguments: str, config: str | None = None, env: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
    """The exit code of doctor, and what it found: finding → fix, "" for what is well."""
    if config is not None:
        (folder / "antiphon.toml").write_text(config)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    done = subprocess.run(
        [str(binary("antiphon")), "doctor", *arguments], cwd=folder, env={**clean, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    output = done.stdout + done.stderr
    assert "panicked" not in output and "never-print" not in output, output
    findings: dict[str, str] = {}
    lines = done.stdout.splitlines()
    for line, following in zip(lines, lines[1:] + [""]):
        if line.startswith(("ok ", "warning ", "ERROR ")):
            fix = following.strip().removeprefix("fix: ") if "fix: " in following else ""
            assert fix or line.startswith("ok "), f"no fix for: {line}"
            findings[line] = fix
    assert findings and lines[-1].endswith("warnings"), output
    assert (done.returncode == 0) == (not any(line.startswith("ERROR") for line in findings)), output
    return done.returncode, findings


def fix_of(findings: dict[str, str], *words: str) -> str:
    found = [fix for line, fix in findings.items() if all(word in line for word in words) and not line.startswith("ok ")]
    assert len(found) == 1, f"{words}: {findings}"
    return found[0]


def test_a_machine_that_is_well_has_nothing_to_mend(tmp_path):
    code, findings = examined(tmp_path, config='name = "x"\n[server]\nport = 0\nrtc_udp_port = 0\n')
    assert code == 0
    assert "DEEPGRAM_API_KEY" in fix_of(findings, "DEEPGRAM_API_KEY is not set")


@pytest.mark.parametrize(
    ("config", "what", "fix"),
    [
        ('greting = "hello"\n', "did you mean `greeting`", "docs/configuration.md"),
        ('[stt]\nprovider = "deepgram"\n', "DEEPGRAM_API_KEY is not set", "environment or .env"),
        ('[llm]\nprovider = "openai"\n', "neither OPENAI_API_KEY nor OPENAI_BASE_URL", "environment or .env"),
        ('[tts]\nprovider = "flite"\nvoice = "nobody"\n', "no voice `nobody`", "slt"),
        ('[knowledge]\npath = "nowhere"\n', "nowhere", ""),
    ],
)
def test_a_configuration_that_cannot_work_is_an_error_with_its_fix(config, what, fix, tmp_path):
    code, findings = examined(tmp_path, config=config)
    assert code != 0
    assert fix in [fix for line, fix in findings.items() if what in line and line.startswith("ERROR")][0], findings


def test_all_that_is_missing_is_said_at_once(tmp_path):
    _, findings = examined(tmp_path, config='[stt]\nprovider = "deepgram"\n[llm]\nprovider = "openai"\n[tts]\nprovider = "openai"\n')
    assert len([line for line in findings if line.startswith("ERROR")]) == 3, findings


def test_ports_in_use_are_named_with_the_flag_that_chooses_others(tmp_path):
    with socket.socket() as http, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        http.bind(("127.0.0.1", 0))
        http.listen()
        media.bind(("127.0.0.1", 0))
        ports = http.getsockname()[1], media.getsockname()[1]
        _, findings = examined(tmp_path, config=f"[server]\nport = {ports[0]}\nrtc_udp_port = {ports[1]}\n")
    assert "--port" in fix_of(findings, f"port {ports[0]}/tcp")
    assert "--udp-port" in fix_of(findings, f"port {ports[1]}/udp")


def test_without_a_voice_on_this_machine_the_package_is_named(tmp_path):
    _, findings = examined(tmp_path, env={"PATH": str(tmp_path)})
    assert "apt-get install flite" in fix_of(findings, "flite is not installed")
    _, findings = examined(tmp_path, config='[tts]\nprovider = "flite"\n', env={"PATH": str(tmp_path)})
    assert "apt-get install flite" in fix_of(findings, "[tts]", "not installed")


def test_half_of_livekit_is_an_error(tmp_path):
    code, findings = examined(tmp_path, env={"LIVEKIT_URL": "ws://127.0.0.1:1"})
    assert code != 0 and "all three" in fix_of(findings, "LIVEKIT_URL is set")


def test_keys_that_are_refused_are_found_when_it_may_ask(run, tmp_path):
    simulator = start_simulator(run)
    env = {**simulator.environment, "DEEPGRAM_API_KEY": f"dg-{SECRET}", "OPENAI_API_KEY": f"sk-{SECRET}"}
    code, findings = examined(tmp_path, env=env)
    assert code == 0 and any("--online" in line for line in findings), findings
    code, findings = examined(tmp_path, "--online", env=env)
    assert code == 0, findings
    refuse = {"fault": "status", "status": 401}
    simulator.script(faults=[{"endpoint": endpoint, **refuse} for endpoint in ("listen", "models")])
    code, findings = examined(tmp_path, "--online", env=env)
    assert code != 0
    assert "DEEPGRAM_API_KEY" in fix_of(findings, "STT:")
    assert "OPENAI_API_KEY" in fix_of(findings, "LLM:")


def test_an_address_where_nobody_listens_is_found_when_it_may_ask(tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        env = {"OPENAI_BASE_URL": f"{url}/v1", "DEEPGRAM_BASE_URL": url, "DEEPGRAM_API_KEY": f"dg-{SECRET}", "OPENAI_API_KEY": f"sk-{SECRET}"}
        code, findings = examined(tmp_path, "--online", env=env)
    assert code != 0
    assert "OPENAI_BASE_URL" in fix_of(findings, "LLM:", url)
    assert "DEEPGRAM_BASE_URL" in fix_of(findings, "STT:")
