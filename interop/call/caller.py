"""A caller: LiveKit's own Python SDK, unmodified, with a voice from WAV files and an ear that writes down everything."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import time
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from livekit import api, rtc
from understand import plain, understand

MICROPHONE_HZ = 48_000
EAR_HZ = 16_000
FRAME_SECONDS = 0.01


@dataclasses.dataclass
class Segment:
    """One utterance as the transcript streams tell it."""

    who: str
    segment_id: str
    text: str
    final: bool
    at: float


class Caller:
    """Joins a room, speaks, and remembers what it saw and heard."""

    def __init__(self, url: str, room: str, identity: str = "caller", recorded: bool = False) -> None:
        self.url, self.room_name, self.identity = url, room, identity
        self.recorded = recorded
        self.track_sid = ""
        self.room = rtc.Room()
        self.source = rtc.AudioSource(MICROPHONE_HZ, 1, queue_size_ms=100)
        self.states: list[str] = []
        self.segments: list[Segment] = []
        self.events: list[dict] = []
        self.heard = bytearray()
        self.heard_at: list[float] = []
        self.agent: rtc.RemoteParticipant | None = None
        self.agent_left = False
        self._speech: asyncio.Queue[np.ndarray] = asyncio.Queue()
        self._speaking_until = 0.0
        self._changed = asyncio.Event()
        self._unread: asyncio.Queue[rtc.TextStreamReader] = asyncio.Queue()
        self._tasks: list[asyncio.Task] = []

    async def __aenter__(self) -> Caller:
        room = self.room
        room.on("participant_connected", self._seen)
        room.on("participant_attributes_changed", lambda _changed, participant: self._seen(participant))
        room.on("participant_disconnected", self._left)
        room.on("track_subscribed", self._subscribed)
        room.register_text_stream_handler("lk.transcription", lambda reader, identity: self._spawn(self._transcript(reader, identity)))
        room.register_text_stream_handler("antiphon.events", lambda reader, _identity: self._unread.put_nowait(reader))
        self._spawn(self._read_events())
        token = (
            api.AccessToken("devkey", "secret")
            .with_identity(self.identity)
            # the grant with which the agent's events are read
            .with_grants(api.VideoGrants(room_join=True, room=self.room_name, can_manage_agent_session=True))
            .to_jwt()
        )
        await room.connect(self.url, token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, preconnect_buffer=self.recorded)
        self.track_sid = (await room.local_participant.publish_track(track, options)).sid
        self._spawn(self._microphone())
        for participant in room.remote_participants.values():
            self._seen(participant)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    # --- speaking

    def say(self, wav: Path, then_silence: float = 0.0) -> None:
        """Speak a WAV file after everything that was said before."""
        samples = read_wav(wav, MICROPHONE_HZ)
        self._speech.put_nowait(samples)
        if then_silence:
            self._speech.put_nowait(np.zeros(int(then_silence * MICROPHONE_HZ), dtype=np.int16))

    async def send_recording(self, content: bytes, mime_type: str = "application/octet-stream") -> None:
        """What was said before the agent came, as LiveKit's clients for telephones send it."""
        writer = await self.room.local_participant.stream_bytes(
            "preconnect-buffer",
            topic="lk.agent.pre-connect-audio-buffer",
            mime_type=mime_type,
            attributes={"trackId": self.track_sid, "sampleRate": str(MICROPHONE_HZ), "channels": "1"},
            destination_identities=[self.agent.identity],
        )
        await writer.write(content)
        await writer.aclose()

    async def said_everything(self) -> None:
        await self._speech.join()

    async def type(self, text: str) -> None:
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def _microphone(self) -> None:
        size = int(MICROPHONE_HZ * FRAME_SECONDS)
        noise = np.random.default_rng(7)
        while True:
            try:
                speech = self._speech.get_nowait()
            except asyncio.QueueEmpty:
                # a microphone is never digitally silent
                await self._capture(noise.integers(-3, 4, size, dtype=np.int16))
                continue
            for start in range(0, len(speech), size):
                await self._capture(speech[start : start + size])
            self._speech.task_done()

    async def _capture(self, samples: np.ndarray) -> None:
        frame = rtc.AudioFrame(samples.tobytes(), MICROPHONE_HZ, 1, len(samples))
        await self.source.capture_frame(frame)

    # --- hearing

    def _subscribed(self, track: rtc.Track, _publication: object, participant: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._spawn(self._listen(track))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=EAR_HZ, num_channels=1)
        async for event in stream:
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            self.heard.extend(samples.tobytes())
            if np.abs(samples.astype(np.int32)).max(initial=0) > 300:
                self.heard_at.append(time.monotonic())
                self._changed.set()

    def heard_within(self, seconds: float) -> bool:
        """Was the agent audible in the last so many seconds?"""
        return bool(self.heard_at) and time.monotonic() - self.heard_at[-1] < seconds

    def save_heard(self, path: Path) -> Path:
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(EAR_HZ)
            out.writeframes(bytes(self.heard))
        return path

    # --- seeing

    def _seen(self, participant: rtc.Participant) -> None:
        if participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            return
        self.agent = participant
        state = participant.attributes.get("lk.agent.state")
        if state and (not self.states or self.states[-1] != state):
            self.states.append(state)
        self._changed.set()

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self.agent_left = True
            self._changed.set()

    async def _transcript(self, reader: rtc.TextStreamReader, identity: str) -> None:
        attributes = reader.info.attributes or {}
        who = "user" if identity == self.identity else "agent"
        segment_id = attributes.get("lk.segment_id", reader.info.stream_id)
        final = attributes.get("lk.transcription_final") == "true"
        segment = next((s for s in self.segments if s.segment_id == segment_id), None)
        if segment is None:
            segment = Segment(who, segment_id, "", False, time.monotonic())
            self.segments.append(segment)
        text = ""
        async for delta in reader:
            text += delta
            segment.text = text
            self._changed.set()
        segment.text = text or segment.text
        segment.final = final or who == "agent"
        self._changed.set()

    async def _read_events(self) -> None:
        # one after another: the SDK reads each stream in a task of its own, so that a later event can be complete
        # before an earlier one
        while True:
            reader = await self._unread.get()
            self.events.append(json.loads(await reader.read_all()))
            self._changed.set()

    def words(self, who: str, final: bool = True) -> list[str]:
        return [s.text for s in self.segments if s.who == who and (s.final or not final) and s.text.strip()]

    def of_type(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["type"] == kind]

    async def until(self, what: str, condition: Callable[[], object], seconds: float = 20.0) -> None:
        """Waits for a condition on what was seen or heard; fails with everything that was."""
        deadline = time.monotonic() + seconds
        while not condition():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise AssertionError(f"{what} did not happen within {seconds} s\n{self.report()}")
            self._changed.clear()
            # conditions on silence change without an event, so look again ten times a second
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(remaining, 0.1))

    def report(self) -> str:
        segments = [(s.who, s.text, s.final) for s in self.segments]
        heard = f"{len(self.heard) / 2 / EAR_HZ:.1f} s of the agent's track, {len(self.heard_at) / 100:.1f} s of it audible"
        return f"states: {self.states}\nsegments: {segments}\nevents: {self.events}\nheard: {heard}"

    def _spawn(self, work: Awaitable) -> None:
        self._tasks.append(asyncio.ensure_future(work))


def read_wav(path: Path, rate: int) -> np.ndarray:
    with wave.open(str(path)) as source:
        assert source.getsampwidth() == 2 and source.getnchannels() == 1, path
        samples = np.frombuffer(source.readframes(source.getnframes()), dtype=np.int16)
        was = source.getframerate()
    if was == rate:
        return samples
    at = np.arange(0, len(samples), was / rate)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.int16)


def speak(text: str, folder: Path, voice: str = "slt") -> Path:
    """A WAV file of flite saying this."""
    path = folder / (("".join(c if c.isalnum() else "_" for c in text))[:60] + f".{voice}.wav")
    if not path.exists():
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
    return path


def recognise(path: Path) -> str:
    """What a recogniser that is no part of the program hears in a WAV file, in lower case and without marks."""
    return " ".join(plain(understand(path)))
