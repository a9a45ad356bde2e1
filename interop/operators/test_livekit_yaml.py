"""An operator's file, flags and variables, with our server and LiveKit's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from interop.conftest import binary
from livekit import api
from operate import KEY, SECRET, Operated, base_yaml, free_port, operated


async def rooms(running: Operated, key: str = KEY, secret: str = SECRET):
    async with api.LiveKitAPI(running.http, key, secret) as lk:
        return await lk.room.create_room(api.CreateRoomRequest(name="hall"))


@pytest.mark.asyncio
async def test_room_defaults_come_from_the_file(server):
    room = await rooms(server("room: {empty_timeout: 77, departure_timeout: 5, max_participants: 3}\n"))
    assert (room.empty_timeout, room.departure_timeout, room.max_participants) == (77, 5, 3)


@pytest.mark.asyncio
async def test_a_flag_and_a_variable_for_each_key_win_over_the_file(server):
    running = server("room: {empty_timeout: 77, max_participants: 3}\n", env={"LIVEKIT_ROOM_EMPTY_TIMEOUT": "33"}, arguments=("--room.max_participants", "9"))
    room = await rooms(running)
    assert (room.empty_timeout, room.max_participants) == (33, 9)


@pytest.mark.asyncio
async def test_keys_of_a_key_file(server, tmp_path: Path):
    file = tmp_path / "keys.yaml"
    file.write_text(f"APIfile: {SECRET}\n")
    file.chmod(0o600)
    running = server(f"key_file: {file}\n", keys=False)
    assert (await rooms(running, "APIfile")).sid.startswith("RM_")
    with pytest.raises(api.TwirpError):
        await rooms(running, KEY)


def test_prometheus_answers_the_queries_of_livekits_dashboard(server):
    port = free_port()
    running = server(f"prometheus: {{port: {port}, username: grafana, password: pass}}\n")
    asyncio.run(rooms(running))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, f"http://127.0.0.1:{port}", "grafana", "pass")
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    text = opener.open(f"http://127.0.0.1:{port}/metrics").read().decode()
    [room_total] = [line for line in text.splitlines() if line.startswith("livekit_room_total")]
    assert float(room_total.split()[-1]) == 1


def refused(folder: Path, text: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What our server says before it has bound a port."""
    yaml = folder / "wrong.yaml"
    yaml.write_text(text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVEKIT")}
    done = subprocess.run(
        [str(binary("antiphon")), "serve", "--config", str(yaml), *arguments], env={**clean, **(env or {})}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0 and "listening" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("rtcc: {}\n", "rtcc (did you mean rtc?)"),
        ("room: {empty_timout: 3}\n", "room.empty_timeout?"),
        ("room: {empty_timeout: soon}\n", "room.empty_timeout"),
        ("webhook: {api_key: nobody, urls: ['https://example.com']}\n", "webhook.api_key"),
        ("webhook: {api_key: APIoperator, urls: [example.com]}\n", "webhook.urls"),
        ("turn: {enabled: true}\n", "turn.udp_port"),
        ("turn: {enabled: true, tls_port: 5349, domain: turn.example.com}\n", "external_tls"),
        ("turn: {enabled: true, tls_port: 5349, external_tls: true}\n", "turn.domain"),
        ("key_file: /nowhere/keys.yaml\n", "/nowhere/keys.yaml"),
    ],
)
def test_a_wrong_file_is_refused_before_a_port_is_bound_and_the_key_is_named(tmp_path: Path, extra: str, said: str):
    assert said in refused(tmp_path, base_yaml(free_port()) + f"keys: {{{KEY}: '{SECRET}'}}\n" + extra)


def test_what_has_no_effect_is_said_at_the_start_by_name(ours):
    running = ours("redis: {address: 'redis:6379'}\naudio: {active_level: 30}\n", env={"REDIS_HOST": "redis:6379"}, arguments=("--rtc.use_mdns",))
    said = running.process.output()
    for name in ("redis has no effect", "audio has no effect", "rtc.use_mdns has no effect", "--redis-host"):
        assert name in said, said
    assert "port has no effect" not in said and "keys has no effect" not in said


def test_generate_keys_prints_a_pair_that_the_server_takes(tmp_path: Path):
    out = subprocess.run([str(binary("antiphon")), "generate-keys"], capture_output=True, text=True, check=True).stdout
    key, secret = (line.split(":", 1)[1].strip() for line in out.splitlines())
    assert key.startswith("API") and len(secret) >= 32
    with operated("antiphon", tmp_path, f"keys: {{{key}: {secret}}}\n", keys=False) as running:
        assert asyncio.run(rooms(running, key, secret)).sid


@pytest.mark.asyncio
async def test_a_key_file_that_changes_is_used_without_a_restart(ours, tmp_path: Path):
    file = tmp_path / "keys.yaml"
    file.write_text(f"APIold: {SECRET}\n")
    file.chmod(0o600)
    running = ours("", keys=False, arguments=("--key-file", str(file)))
    assert (await rooms(running, "APIold")).sid
    file.write_text(f"APInew: {SECRET}\n")
    running.process.child.send_signal(1)
    for _ in range(100):
        try:
            await rooms(running, "APInew")
            break
        except api.TwirpError:
            await asyncio.sleep(0.1)
    assert (await rooms(running, "APInew")).sid
    with pytest.raises(api.TwirpError):
        await rooms(running, "APIold")


def test_a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path):
    file = tmp_path / "keys.yaml"
    file.write_text(f"APIold: {SECRET}\n")
    file.chmod(0o644)
    assert "chmod o-rwx" in refused(tmp_path, base_yaml(free_port()), "--key-file", str(file))
