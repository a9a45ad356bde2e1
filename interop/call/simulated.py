"""Deepgram and OpenAI on loopback: the project's own simulator, told over HTTP what to hear, to answer and to break."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path


class Simulator:
    """A running simulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.environment = {
            "DEEPGRAM_API_KEY": "dg-any",
            "DEEPGRAM_BASE_URL": url,
            "OPENAI_API_KEY": "sk-any",
            "OPENAI_BASE_URL": f"{url}/v1",
        }

    def script(self, **script: object) -> None:
        """Behave so from now on; what is not named is as it should be."""
        self._call("POST", "/_simulator/script", script)

    def forget(self) -> None:
        self._call("DELETE", "/_simulator/requests")

    def requests(self, path: str) -> list[dict]:
        return [request for request in json.loads(self._call("GET", "/_simulator/requests")) if request["path"] == path]

    def chats(self) -> list[list[dict]]:
        """The messages of every question to the model, oldest first."""
        return [request["body"]["messages"] for request in self.requests("/v1/chat/completions")]

    def _call(self, method: str, path: str, body: object = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read()


def start_simulator(run: Callable) -> Simulator:
    return Simulator(run(program="antiphon-simulator").url)


def start_agent(run: Callable, simulator: Simulator, folder: Path, configuration: str):
    """`antiphon dev` with this `antiphon.toml`, every provider of which is the simulator."""
    (folder / "antiphon.toml").write_text(configuration)
    server = run("dev", "--port", "0", "--udp-port", "0", env=simulator.environment)
    return server


def content(message: dict) -> str:
    """The text of a message, be it a string or parts."""
    text = message.get("content") or ""
    return text if isinstance(text, str) else "\n".join(part.get("text", "") for part in text)
