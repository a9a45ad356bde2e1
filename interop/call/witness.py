"""Between clients and a server: writes down what was asked by HTTP and what was answered; can cut the
connections, and keep new ones waiting."""

import asyncio
import contextlib
import re
from urllib.parse import urlsplit


class Witness:
    def __init__(self, url: str) -> None:
        self.target = urlsplit(url)
        self.asked: list[tuple[str, int]] = []
        self.open: list[asyncio.StreamWriter] = []
        self.through = asyncio.Event()
        self.through.set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self.open:
            writer.transport.abort()
        self.open.clear()

    async def _serve(self, reader, writer):
        request = await reader.readline()
        await self.through.wait()
        there, back = await asyncio.open_connection(self.target.hostname, self.target.port)
        back.write(request)
        self.open += [writer, back]

        async def pump(source, sink):
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        async def answers():
            status = await there.readline()
            path = request.split(b" ")[1].decode().split("?")[0]
            self.asked.append((path, int(re.match(rb"HTTP/1.1 (\d+)", status).group(1))))
            writer.write(status)
            await pump(there, writer)

        await asyncio.gather(pump(reader, back), answers(), return_exceptions=True)
