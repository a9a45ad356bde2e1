"""One end of a call, in its own process and namespace: publishes a tone, listens for the other's, says on standard output when it
hears it, when it does not, and how much of it the decoder had to invent. Arguments: URL, token, and "plain" to publish without RED."""

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
    room.on("track_subscribed", lambda track, *_: tasks.extend(map(asyncio.ensure_future, (hear(track), count(track)))))
    say("connecting")
    try:
        await room.connect(url, token)
    except rtc.ConnectError as error:
        say("failed", why=str(error))
        return
    say("connected")
    tasks.append(asyncio.ensure_future(speak(room, how == "plain")))
    await asyncio.to_thread(sys.stdin.read)  # until whoever started this closes it
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
