"""Certificates from an authority: Pebble, the server that Let's Encrypt has written for tests of ACME clients. It looks at names as
Let's Encrypt does, refuses a twentieth of all nonces, and certifies for as long as a test can wait."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interop.conftest import CACHE, Process, free_port, start

NAME = "voice.example.com"


class Authority:
    """A running Pebble. What `name` leads to is this machine's port `port`."""

    def __init__(self, folder: Path, port: int, seconds: int) -> None:
        self.folder, self.port, self.running = folder, port, []
        self.directory_ca, certificate, key = (folder / name for name in ("ca.pem", "directory.pem", "directory.key"))
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        ca_key = str(folder / "ca.key")
        ca = ["-subj", "/CN=the directory's authority", "-keyout", ca_key, "-out", str(self.directory_ca)]
        leaf = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
        signed = ["-CA", str(self.directory_ca), "-CAkey", ca_key, "-keyout", str(key), "-out", str(certificate)]
        for one in (ca, leaf + signed):
            subprocess.run(made + one, check=True, capture_output=True)
        dns, listens, self.manages, other = free_port(), free_port(), free_port(), free_port()
        self.directory = f"https://localhost:{listens}/dir"
        config = {
            "listenAddress": f"127.0.0.1:{listens}",
            "managementListenAddress": f"127.0.0.1:{self.manages}",
            "certificate": str(certificate),
            "privateKey": str(key),
            "httpPort": other,
            "tlsPort": port,
            "profiles": {"default": {"description": "for tests", "validityPeriod": seconds}},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        names = [program("pebble-challtestsrv"), "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1", "-dnsserver", f"127.0.0.1:{dns}"]
        nothing_else = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", f"127.0.0.1:{free_port()}"]
        self._start(names + nothing_else, "Starting management server", {})
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5"}
        pebble = [program("pebble"), "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"]
        self._start(pebble, "ACME directory available", environment)

    def _start(self, arguments: list[str], ready: str, env: dict[str, str]) -> None:
        self.running.append(start(arguments, ready, env, self.folder))

    def output(self) -> str:
        return self.running[-1].output()

    def orders(self) -> int:
        return self.output().count("Issued certificate serial")

    def trusted(self) -> ssl.SSLContext:
        """What trusts this authority and nobody else."""
        management = ssl.create_default_context(cafile=str(self.directory_ca))
        with urllib.request.urlopen(f"https://localhost:{self.manages}/roots/0", context=management, timeout=10) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())

    def stop(self) -> None:
        for process in reversed(self.running):
            process.stop()
            print(f"--- output of {process.child.args}\n{process.output()}")


def program(name: str) -> str:
    built = sorted((CACHE / "bin").glob(f"{name}-v*"))
    if not built:
        pytest.skip(f"{name} is not here: scripts/go-program.sh builds it with Go")
    return str(built[-1])


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Callable[..., Authority]]:
    running: list[Authority] = []

    def begin(port: int, seconds: int = 90 * 24 * 3600) -> Authority:
        running.append(Authority(tmp_path, port, seconds))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


def serve(run: Callable[..., Process], authority: Authority, folder: Path, names: tuple[str, ...] = (NAME,)) -> Process:
    # as somebody may type it
    flags = [flag for name in names for flag in ("--acme-domain", name.title())]
    flags += ["--acme-directory", authority.directory, "--acme-directory-ca", str(authority.directory_ca)]
    ports = ["--port", str(authority.port), "--udp-port", "0", "--bind", "127.0.0.1"]
    keys = ["--keys", "operator: a-secret-of-thirty-two-characters"]
    return run("serve", *ports, *keys, *flags, env={"XDG_DATA_HOME": str(folder / "data")}, ready=r"(https://[\w.:\[\]-]+)")


def certified(authority: Authority, name: str = NAME) -> dict | None:
    """The certificate that a client which trusts the authority gets for this name; `None`: none that it trusts."""
    with socket.create_connection(("127.0.0.1", authority.port), timeout=5) as plain:
        try:
            with authority.trusted().wrap_socket(plain, server_hostname=name) as stream:
                stream.sendall(f"GET /health HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n".encode())
                assert stream.recv(100).startswith(b"HTTP/1.1 ")
                return stream.getpeercert()
        except ssl.SSLCertVerificationError:
            return None


def until(found: Callable[[], object], seconds: float = 60) -> object:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


def test_a_name_is_certified_and_the_next_start_uses_the_same_certificate(run, authority, tmp_path):
    pebble = authority(free_port())
    process = serve(run, pebble, tmp_path, (NAME, "rtc.example.com"))
    first = until(lambda: certified(pebble))
    assert {value for _, value in first["subjectAltName"]} == {NAME, "rtc.example.com"}
    assert certified(pebble, "rtc.example.com") == first
    kept = list((tmp_path / "data" / "antiphon" / "acme").rglob("*"))
    assert {file.stat().st_mode & 0o077 for file in kept if file.is_file()} == {0}, kept
    assert process.stop() == 0
    serve(run, pebble, tmp_path, (NAME, "rtc.example.com"))
    again = until(lambda: certified(pebble))
    assert again["serialNumber"] == first["serialNumber"] and pebble.orders() == 1


def test_another_name_than_before_is_certified_too(run, authority, tmp_path):
    pebble = authority(free_port())
    before = serve(run, pebble, tmp_path)
    until(lambda: certified(pebble))
    before.stop()
    serve(run, pebble, tmp_path, (NAME, "new.example.com"))
    until(lambda: certified(pebble, "new.example.com"))


def test_a_certificate_is_renewed_while_the_server_runs(run, authority, tmp_path):
    pebble = authority(free_port(), seconds=12)
    process = serve(run, pebble, tmp_path)
    first = until(lambda: certified(pebble))
    until(lambda: (now := certified(pebble)) and now["serialNumber"] != first["serialNumber"])
    assert process.child.poll() is None


def test_a_name_that_leads_elsewhere_is_told_in_the_log_and_the_server_goes_on(run, authority, tmp_path):
    pebble = authority(free_port())
    elsewhere = free_port()
    pebble.port = elsewhere
    process = serve(run, pebble, tmp_path)
    until(lambda: "no certificate has come" in process.output())
    line = next(line for line in process.lines if "no certificate has come" in line)
    assert "Port 443 of each name must lead to this server" in line and f"{NAME}: " in line, line
    assert certified(pebble) is None  # a certificate of its own, which nobody trusts
    with socket.create_connection(("127.0.0.1", elsewhere), timeout=5) as plain:
        nobody = ssl.create_default_context()
        nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
        with nobody.wrap_socket(plain, server_hostname=NAME) as stream:
            stream.sendall(f"GET /health HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n".encode())
            assert stream.recv(100).startswith(b"HTTP/1.1 ")
