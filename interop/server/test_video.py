"""Video of LiveKit's Python SDK: what is published is what is seen, frame for frame, also when it comes in three sizes."""

import asyncio
import contextlib

import numpy as np
import pytest
from livekit import api, rtc
from support import SECRET, KEY, TIMEOUT, http_url, joined

WIDTH, HEIGHT = 960, 540
COLUMNS, ROWS = 12, 8
# A picture of noise differs by about 85 of 255 from the right one, two right ones in different sizes by about 2.
WRONG = 12.0


def pattern(number: int) -> np.ndarray:
    """A grey picture of rectangles that says which frame it is: its first row is the number in binary."""
    cells = np.random.default_rng(number // 10).integers(40, 216, (ROWS, COLUMNS), dtype=np.uint8)
    bits = [(number >> bit) & 1 for bit in range(COLUMNS)]
    cells[0] = np.array([220 if bit else 30 for bit in bits], dtype=np.uint8)
    return cells


def picture(cells: np.ndarray, width: int, height: int) -> np.ndarray:
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return cells[rows][:, columns]


@contextlib.asynccontextmanager
async def camera(room: rtc.Room, codec=rtc.VideoCodec.VP8, simulcast: bool = True):
    source = rtc.VideoSource(WIDTH, HEIGHT)
    track = rtc.LocalVideoTrack.create_video_track("camera", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=simulcast, video_codec=codec)
    publication = await room.local_participant.publish_track(track, options)

    async def film():
        number = 0
        while True:
            grey = picture(pattern(number), WIDTH, HEIGHT)
            colour = np.full(WIDTH * HEIGHT // 2, 128, dtype=np.uint8)
            data = np.concatenate([grey.ravel(), colour])
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, data.tobytes()))
            number += 1
            await asyncio.sleep(1 / 25)

    filming = asyncio.create_task(film())
    try:
        yield publication
    finally:
        filming.cancel()


def seen(frame: rtc.VideoFrame) -> tuple[int, float]:
    """Which frame it says it is, and how far it is from that one."""
    frame = frame.convert(rtc.VideoBufferType.I420)
    grey = np.frombuffer(frame.data, dtype=np.uint8)[: frame.width * frame.height].reshape(frame.height, frame.width)
    middles = (np.arange(COLUMNS) * 2 + 1) * frame.width // (2 * COLUMNS)
    row = grey[frame.height // (2 * ROWS), middles]
    number = sum(1 << bit for bit, level in enumerate(row) if level > 125)
    wanted = picture(pattern(number), frame.width, frame.height)
    return number, float(np.abs(grey.astype(int) - wanted).mean())


async def watch(track: rtc.Track, frames: int, until_width: int | None = None) -> list[tuple[int, int, float]]:
    """(width, number, error) of at least this many frames, and until one is this wide."""
    stream = rtc.VideoStream(track)
    found = []
    async for event in stream:
        number, error = seen(event.frame)
        found.append((event.frame.width, number, error))
        if len(found) >= frames and until_width in (None, event.frame.width):
            break
    await stream.aclose()
    return found


def check(found: list[tuple[int, int, float]]) -> None:
    wrong = [one for one in found if one[2] > WRONG]
    assert not wrong, f"{len(wrong)} of {len(found)} frames are garbage: {wrong[:5]}"
    numbers = [number for _, number, _ in found]
    assert numbers == sorted(numbers), "the pictures go back in time"


@pytest.mark.asyncio
@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_camera_that_sends_three_sizes_is_seen_as_one_picture(room_name, codec):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, events):
        async with camera(ann, getattr(rtc.VideoCodec, codec)):
            track, publication, _ = await events.wait("track_subscribed")
            assert publication.mime_type == f"video/{codec}"
            found = await asyncio.wait_for(watch(track, 150), 60)
            check(found)
            # On a busy machine the sender makes its largest size smaller, but not as small as the next one.
            assert max(width for width, _, _ in found) > WIDTH // 2, "the largest size arrives, and is not what is seen"


@pytest.mark.asyncio
@pytest.mark.parametrize("codec", ["VP8", "VP9"])  # a stream for each size, and all sizes in one stream
async def test_a_viewer_that_asks_for_less_gets_a_smaller_picture_and_the_large_one_back(room_name, codec):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, events):
        async with camera(ann, getattr(rtc.VideoCodec, codec)):
            track, publication, _ = await events.wait("track_subscribed")
            assert publication.mime_type == f"video/{codec}"
            # a machine that is busy looks like a narrow network, and then the large picture comes later
            large = await asyncio.wait_for(watch(track, 100, until_width=WIDTH), 60)
            publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
            small = await asyncio.wait_for(watch(track, 100), 60)
            publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_HIGH)
            again = await asyncio.wait_for(watch(track, 100, until_width=WIDTH), 90)
            for found in (large, small, again):
                check(found)
            assert small[-1][0] < large[-1][0] == again[-1][0]


@pytest.mark.asyncio
async def test_who_comes_later_sees_the_picture_too(room_name):
    async with joined("ann", room_name) as (ann, _), camera(ann):
        for _ in range(3):
            async with joined("bob", room_name) as (_, events):
                track, _, _ = await events.wait("track_subscribed")
                check(await asyncio.wait_for(watch(track, 30), 30))


@pytest.mark.asyncio
async def test_a_camera_published_again_is_seen_again(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, events):
        for _ in range(2):
            async with camera(ann) as publication:
                track, _, _ = await events.wait("track_subscribed", lambda _t, p, _p: p.sid == publication.sid)
                check(await asyncio.wait_for(watch(track, 30), 30))
                await ann.local_participant.unpublish_track(publication.sid)


@pytest.mark.asyncio
async def test_who_is_allowed_to_subscribe_later_sees_and_who_unsubscribed_is_left_alone(room_name):
    async with (
        joined("ann", room_name) as (ann, _),
        joined("bob", room_name, can_subscribe=False) as (_, late),
        joined("carol", room_name) as (_, carol),
        camera(ann),
        api.LiveKitAPI(http_url(), KEY, SECRET) as lk,
    ):
        _, publication, _ = await carol.wait("track_subscribed")
        publication.set_subscribed(False)
        await carol.wait("track_unsubscribed")
        carol.seen.clear()

        async def permit(identity: str, **more) -> None:
            permission = api.ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True, **more)
            await lk.room.update_participant(api.UpdateParticipantRequest(room=room_name, identity=identity, permission=permission))

        await permit("carol", can_update_metadata=True)
        await permit("bob")
        track, _, _ = await late.wait("track_subscribed")
        check(await asyncio.wait_for(watch(track, 30), TIMEOUT * 2))
        assert "track_subscribed" not in [name for name, _ in carol.seen]
