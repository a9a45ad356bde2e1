// LiveKit's Node SDK, unmodified and at its defaults, on our server and on LiveKit's.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { AudioFrame, AudioSource, AudioStream, LocalAudioTrack, Room, RoomEvent, TrackPublishOptions, TrackSource, dispose } from '@livekit/rtc-node';

import { startLiveKit, startServer, token } from './programs.mjs';
import { startWitness } from './witness.mjs';

const RATE = 48_000;
const FRAME = RATE / 50;
const FREQUENCY = 440;

const GRANTS = { room: 'node' };

function once(room, event, choose) {
  return new Promise((resolve) => room.on(event, (...args) => { const found = choose(...args); if (found) resolve(found); }));
}

/** Publishes a tone until `stop` is called. */
async function speak(room) {
  const source = new AudioSource(RATE, 1);
  const track = LocalAudioTrack.createAudioTrack('tone', source);
  const options = new TrackPublishOptions();
  options.source = TrackSource.SOURCE_MICROPHONE;
  await room.localParticipant.publishTrack(track, options);
  let speaking = true;
  (async () => {
    for (let at = 0; speaking; at += FRAME) {
      const samples = Int16Array.from({ length: FRAME }, (_, i) => 12_000 * Math.sin((2 * Math.PI * FREQUENCY * (at + i)) / RATE));
      await source.captureFrame(new AudioFrame(samples, RATE, 1, FRAME));
    }
  })();
  return () => (speaking = false);
}

/** How often a second what is heard crosses zero upwards, over a second of sound. */
async function frequency(track) {
  let crossings = 0;
  let count = 0;
  let last = 0;
  for await (const frame of new AudioStream(track, RATE, 1)) {
    for (const sample of frame.data) {
      if (count > 0 || Math.abs(sample) > 1000) count += 1;
      if (count > RATE / 2 && last < 0 && sample >= 0) crossings += 1;
      last = sample;
      if (count >= 1.5 * RATE) return crossings;
    }
  }
  throw new Error('the track ended');
}

after(() => dispose());

for (const [place, begin] of [['our server', startServer], ["LiveKit's server", startLiveKit]]) {
  test(`on ${place} the Node SDK joins by one request, and hears`, { timeout: 90_000 }, async (context) => {
    const server = await begin();
    if (!server) return context.skip("LiveKit's own server is not here: scripts/go-program.sh builds it with Go");
    const witness = await startWitness(server.url);
    const [ann, bob] = [new Room(), new Room()];
    try {
      const heard = once(bob, RoomEvent.TrackSubscribed, (track) => track);
      await ann.connect(witness.url, token('ann', GRANTS), { autoSubscribe: true, dynacast: false });
      const stop = await speak(ann);
      await bob.connect(witness.url, token('bob', GRANTS), { autoSubscribe: true, dynacast: false });
      const hertz = await frequency(await heard);
      stop();
      assert.ok(Math.abs(hertz - FREQUENCY) < 12, `${hertz} Hz`);
      assert.deepEqual(witness.answers, ['101 /rtc/v1', '101 /rtc/v1']);
    } finally {
      await ann.disconnect();
      await bob.disconnect();
      witness.stop();
      await server.stop();
    }
  });
}
