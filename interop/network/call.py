"""One end of a call, in its own process and namespace: publishes a tone, listens for the other's, says on standard output when it
hears it, when it does not, how much of it the decoder had to invent, and how wide the other's picture is. Arguments: URL, token, and
"plain" to publish the tone without RED, or "camera" to publish a picture in three sizes as well."""

import asyncio
import json
import sys
import time

import numpy as np
from livekit import rtc

RATE = 48_000
LOUD = 800  # of a tone of 6000


def say(event: str, **more) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), **more}), flush=True)


async def speak(room: rtc.Room, plain: bool) -> None:
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=not plain))
    samples = (6000 * np.sin(2 * np.pi * 440 * np.arange(RATE // 100) / RATE)).astype(np.int16).tobytes()
    while True:
        await source.capture_frame(rtc.AudioFrame(samples, RATE, 1, RATE // 100))


async def film(room: rtc.Room) -> None:
    width, height = 960, 540
    source = rtc.VideoSource(width, height)
    track = rtc.LocalVideoTrack.create_video_track("camera", source)
    await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True))
    noise = np.random.default_rng(1)
    cells = noise.integers(16, 235, (height // 20, width // 20), dtype=np.uint8)
    while True:
        # a tenth of them: as much as an encoder can follow in every size
        changed = noise.integers(0, cells.size, cells.size // 10)
        cells.ravel()[changed] = noise.integers(16, 235, changed.size, dtype=np.uint8)
        grey = cells.repeat(20, axis=0).repeat(20, axis=1)
        data = np.concatenate([grey.ravel(), np.full(width * height // 2, 128, dtype=np.uint8)])
        source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data.tobytes()))
        await asyncio.sleep(1 / 15)


async def see(track: rtc.Track) -> None:
    wide = 0
    async for event in rtc.VideoStream(track):
        if event.frame.width != wide:
            wide = event.frame.width
            say("picture", width=wide)


async def hear(track: rtc.Track) -> None:
    loud_at, hearing = time.monotonic(), False
    async for event in rtc.AudioStream(track):
        level = np.abs(np.frombuffer(event.frame.data, dtype=np.int16).astype(np.int32)).mean()
        now = time.monotonic()
        if level > LOUD:
            loud_at = now
            if not hearing:
                hearing = True
                say("heard")
        elif hearing and now - loud_at > 0.4:
            hearing = False
            say("silent", since=loud_at)


async def count(track: rtc.Track) -> None:
    """Samples since the beginning, and those that the decoder made up for lost ones."""
    while True:
        await asyncio.sleep(1)
        for stats in await track.get_stats():
            if stats.HasField("inbound_rtp"):
                inbound = stats.inbound_rtp.inbound
                say("samples", all=inbound.total_samples_received, concealed=inbound.concealed_samples)


def quality(participant: rtc.Participant, quality: rtc.ConnectionQuality) -> None:
    if quality in (rtc.ConnectionQuality.QUALITY_GOOD, rtc.ConnectionQuality.QUALITY_POOR, rtc.ConnectionQuality.QUALITY_LOST):
        say("worse", who=participant.identity, quality=quality.name)


async def main(url: str, token: str, how: str = "") -> None:
    room, tasks = rtc.Room(), []
    for name in ("reconnecting", "reconnected"):
        room.on(name, lambda name=name: say(name))
    room.on("disconnected", lambda reason: say("disconnected", reason=rtc.DisconnectReason.Name(reason)))
    room.on("connection_quality_changed", quality)
    room.on("participant_disconnected", lambda participant: say("left", who=participant.identity))

    def subscribed(track: rtc.Track, *_) -> None:
        what = (hear(track), count(track)) if track.kind == rtc.TrackKind.KIND_AUDIO else (see(track),)
        tasks.extend(map(asyncio.ensure_future, what))

    room.on("track_subscribed", subscribed)
    say("connecting")
    try:
        await room.connect(url, token)
    except rtc.ConnectError as error:
        say("failed", why=str(error))
        return
    say("connected")
    tasks.append(asyncio.ensure_future(speak(room, how == "plain")))
    if how == "camera":
        tasks.append(asyncio.ensure_future(film(room)))
    await asyncio.to_thread(sys.stdin.read)  # until whoever started this closes it
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
