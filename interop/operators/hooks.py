"""An operator's webhook address, which checks every event with LiveKit's own receiver."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from operate import KEY, SECRET
from livekit import api


class Receiver:
    """`events` are those that LiveKit's WebhookReceiver has accepted; `answer` says what is answered to each request."""

    def __init__(self, answer: Callable[[int], int] = lambda number: 200):
        self.events: list = []
        self.refused: list[str] = []
        self.bodies: list[tuple[str, str, str]] = []
        self.changed = threading.Condition()
        verifier = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with receiver.changed:
                    receiver.bodies.append((body, self.headers.get("Authorization", ""), self.headers.get("Content-Type", "")))
                    status = answer(len(receiver.bodies))
                    if status == 200:
                        try:
                            receiver.events.append(verifier.receive(body, self.headers["Authorization"]))
                        except Exception as error:  # what the receiver says is what the test shows
                            receiver.refused.append(repr(error))
                    receiver.changed.notify_all()
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def yaml(self) -> str:
        return f"webhook:\n  api_key: {KEY}\n  urls: ['http://127.0.0.1:{self.http.server_port}/hook']\n"

    def wait(self, name: str, count: int = 1, seconds: float = 40) -> list:
        def enough() -> bool:
            return sum(event.event == name for event in self.events) >= count

        with self.changed:
            assert self.changed.wait_for(enough, seconds), f"no {name}; seen: {self.names()}, refused: {self.refused}"
            return [event for event in self.events if event.event == name]

    def names(self, room: str | None = None) -> list[str]:
        return [event.event for event in self.events if room in (None, event.room.name)]

    def by_room(self) -> dict[str, list[str]]:
        rooms = defaultdict(list)
        for event in self.events:
            rooms[event.room.name].append(event.event)
        return rooms

    def close(self) -> None:
        self.http.shutdown()
