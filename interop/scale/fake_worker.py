"""An agent worker that does what a test says, over LiveKit's worker protocol; its agents are LiveKit's SDK."""

from __future__ import annotations

import asyncio

import aiohttp
from livekit import api, rtc
from livekit.protocol import agent as proto

PATIENCE = 60


class FakeWorker:
    def __init__(self, url: str, agent_name: str = "") -> None:
        self.url, self.agent_name = url, agent_name
        self.rooms: list[rtc.Room] = []
        self.offers: asyncio.Queue[proto.Job] = asyncio.Queue()
        self.assignments: asyncio.Queue[proto.JobAssignment] = asyncio.Queue()
        self.terminated: list[str] = []

    async def __aenter__(self) -> FakeWorker:
        token = api.AccessToken("devkey", "secret").with_grants(api.VideoGrants(agent=True)).to_jwt()
        self.session = aiohttp.ClientSession()
        self.socket = await self.session.ws_connect(self.url + "/agent", headers={"Authorization": f"Bearer {token}"})
        await self._send(register=proto.RegisterWorkerRequest(type=proto.JobType.JT_ROOM, agent_name=self.agent_name, version="1"))
        self.reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reader.cancel()
        for room in self.rooms:
            await room.disconnect()
        await self.socket.close()
        await self.session.close()

    async def _send(self, **message: object) -> None:
        await self.socket.send_bytes(proto.WorkerMessage(**message).SerializeToString())

    async def _read(self) -> None:
        async for frame in self.socket:
            message = proto.ServerMessage.FromString(frame.data)
            match message.WhichOneof("message"):
                case "availability":
                    self.offers.put_nowait(message.availability.job)
                case "assignment":
                    self.assignments.put_nowait(message.assignment)
                case "termination":
                    self.terminated.append(message.termination.job_id)

    async def offered(self) -> proto.Job:
        return await asyncio.wait_for(self.offers.get(), PATIENCE)

    async def take(self, job: proto.Job) -> str:
        """Accept; the agent's token."""
        await self._send(availability=proto.AvailabilityResponse(job_id=job.id, available=True))
        return (await asyncio.wait_for(self.assignments.get(), PATIENCE)).token

    async def enter(self, token: str) -> rtc.Room:
        room = rtc.Room()
        await room.connect(self.url, token)
        self.rooms.append(room)
        return room

    async def join(self, job: proto.Job) -> rtc.Room:
        return await self.enter(await self.take(job))

    async def ended(self, job: proto.Job, failed: bool) -> None:
        status = proto.JobStatus.JS_FAILED if failed else proto.JobStatus.JS_SUCCESS
        await self._send(update_job=proto.UpdateJobStatus(job_id=job.id, status=status, error="it crashed" if failed else ""))

    async def quiet(self, seconds: float) -> None:
        """Nothing is offered for so long."""
        await asyncio.sleep(seconds)
        assert self.offers.empty()


