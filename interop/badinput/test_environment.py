"""`.env`, the environment, and what the development server gives away."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from conftest import SECRETS, binary
from livekit import api

SECRET = "a-secret-that-is-long-enough-for-everybody-never-print"


def antiphon(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    return subprocess.run(
        [str(binary("antiphon")), *arguments], cwd=folder, env={**clean, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def claims(token: str) -> dict:
    body = token.strip().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def post(url: str, headers: dict[str, str] | None = None, body: dict | None = None) -> tuple[int, dict[str, str], bytes]:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    headers = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=json.dumps(body or {}).encode(), headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, context=trusting, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


TOKEN = ["token", "create", "--room", "hall", "--identity", "ann"]


def test_a_token_is_signed_with_the_key_of_dotenv_and_not_with_the_development_key(tmp_path):
    (tmp_path / ".env").write_text(f"# keys\nLIVEKIT_API_KEY=mine\nLIVEKIT_API_SECRET='{SECRET}'\n")
    done = antiphon(tmp_path, *TOKEN)
    assert done.returncode == 0 and "development key" not in done.stderr, done.stderr
    assert claims(done.stdout)["iss"] == "mine"
    assert claims(antiphon(tmp_path, *TOKEN, env={"LIVEKIT_API_KEY": "set", "LIVEKIT_API_SECRET": SECRET}).stdout)["iss"] == "set"


def test_a_dotenv_in_a_folder_above_belongs_to_somebody_else(tmp_path):
    (tmp_path / ".env").write_text(f"LIVEKIT_API_KEY=mine\nLIVEKIT_API_SECRET={SECRET}\n")
    below = tmp_path / "below"
    below.mkdir()
    assert claims(antiphon(below, *TOKEN).stdout)["iss"] == "devkey"


def test_a_dotenv_beside_the_config_is_read(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".env").write_text(f"LIVEKIT_URL=ws://127.0.0.1:1\nLIVEKIT_API_KEY=mine\nOPENAI_BASE_URL=no-address\nLIVEKIT_API_SECRET={SECRET}\n")
    (tmp_path / "antiphon.toml").write_text("")
    done = antiphon(elsewhere, "start", "--port", "0", "--config", str(tmp_path / "antiphon.toml"))
    assert done.returncode == 1 and "OPENAI_BASE_URL is not an address" in done.stderr, done.stderr
    assert "LIVEKIT" not in done.stderr, done.stderr


def test_a_bad_line_of_dotenv_is_named_without_its_value(tmp_path):
    (tmp_path / ".env").write_text(f"A=1\nLIVEKIT_KEYS {SECRET}\n")
    done = antiphon(tmp_path, "serve")
    assert done.returncode == 1 and ".env:2" in done.stderr and "never-print" not in done.stdout + done.stderr, done.stderr


def test_a_server_with_the_keys_of_dotenv_starts(run, tmp_path):
    (tmp_path / ".env").write_text(f'LIVEKIT_KEYS="mine: {SECRET}"\n')
    server = run("serve", "--port", "0", "--udp-port", "0", "--bind", "127.0.0.1")
    assert "never-print" not in server.output(), server.output()


def test_empty_variables_count_as_not_set(run, tmp_path):
    server = run("serve", "--dev", "--port", "0", "--udp-port", "0", env={"NODE_IP": "", "LIVEKIT_KEYS": "", "UDP_PORT": ""})
    assert server.url


def test_the_key_that_dev_prints_is_the_one_that_works(run, tmp_path):
    server = run("serve", "--dev", "--port", "0", "--udp-port", "0", "--keys", f"abc: {SECRET}", ready=r"(API key \w+)")
    assert "API key abc" in server.output() and "devkey" not in server.output() and "never-print" not in server.output(), server.output()


def test_a_password_in_a_base_url_is_shown_nowhere(run, tmp_path):
    env = {"OPENAI_BASE_URL": "http://user:never-print@127.0.0.1:9/v1"}
    dev = run("dev", "--port", "0", "--udp-port", "0", env=env)
    with urllib.request.urlopen(f"{dev.url}/api/playground", timeout=20) as answer:
        about = answer.read().decode()
    assert "127.0.0.1:9/v1" in about and "never-print" not in about, about
    doctor = antiphon(tmp_path, "doctor", "--online", env=env)
    output = dev.output() + doctor.stdout + doctor.stderr
    assert "127.0.0.1:9/v1" in output and "never-print" not in output, output


def test_tokens_of_the_playground_are_for_its_own_page_and_not_without_end(run, tmp_path):
    (tmp_path / "antiphon.toml").write_text("[limits]\njoins_per_second = 2\n")
    dev = run("dev", "--port", "0", "--udp-port", "0")
    url = f"{dev.url}/api/playground/connect"
    own = dev.url.replace("127.0.0.1", "localhost")
    status, headers, body = post(url.replace("127.0.0.1", "localhost"), {"Origin": own})
    assert status == 200 and json.loads(body)["participant_token"], body
    assert not [name for name in headers if name.lower() == "access-control-allow-origin"], headers
    assert post(url, {"Origin": "https://evil.example"})[0] == 403
    assert post(url, {"Host": "evil.example:7880"})[0] == 403
    answers = [post(url) for _ in range(40)]
    refused = [headers for status, headers, _ in answers if status == 429]
    assert refused and all("retry-after" in {name.lower() for name in headers} for headers in refused)


def test_dev_with_a_certificate_has_an_agent(run, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-days", "2"],
        cwd=tmp_path, check=True, capture_output=True,
    )
    (tmp_path / "antiphon.toml").write_text('[server]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n')
    dev = run("dev", "--port", "0", "--udp-port", "0", "--config", str(tmp_path / "antiphon.toml"), ready=r"(https://[\w.:\[\]-]+)")
    grants = api.VideoGrants(room_create=True, room_admin=True, room="hall")
    bearer = {"Authorization": "Bearer " + api.AccessToken("devkey", "secret").with_grants(grants).to_jwt()}
    rooms = f"{dev.url}/twirp/livekit.RoomService"
    assert post(f"{rooms}/CreateRoom", bearer, {"name": "hall"})[0] == 200
    joined: list[str] = []
    for _ in range(100):
        answer = post(f"{rooms}/ListParticipants", bearer, {"room": "hall"})[2]
        joined = [one.get("kind", "") for one in json.loads(answer).get("participants", [])]
        if joined:
            break
        time.sleep(0.2)
    assert "AGENT" in joined, (joined, dev.output())
