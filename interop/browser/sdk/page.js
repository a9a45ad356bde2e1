// Two participants in one page: what the second hears, sees and reads of the first, and a broken signal connection resumed.
import { Room, RoomEvent } from "/livekit-client.mjs";

const FREQUENCY = 440;

async function loudestFrequency(context, track) {
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  for (let attempt = 0; attempt < 100; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    analyser.getFloatFrequencyData(spectrum);
    const peak = spectrum.indexOf(Math.max(...spectrum));
    const hertz = (peak * context.sampleRate) / analyser.fftSize;
    if (spectrum[peak] > -80 && Math.abs(hertz - FREQUENCY) < 12) return hertz;
  }
  throw new Error("the tone was not heard");
}

function once(room, event, choose) {
  return new Promise((resolve) => room.on(event, (...args) => { const found = choose(...args); if (found) resolve(found); }));
}

function check(what, condition) {
  if (!condition) throw new Error(what);
}

// How many peer connections were made.
let connections = 0;
const Original = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Original {
  constructor(...configuration) {
    super(...configuration);
    connections += 1;
  }
};

/** `options`: those of both rooms. `expected`: the peer connections that each of them makes. */
window.run = async (url, tokenA, tokenB, options, expected) => {
  connections = 0;
  const a = new Room(options);
  const b = new Room(options);
  const subscribed = once(b, RoomEvent.TrackSubscribed, (track, _, participant) => [track, participant.identity]);
  const data = once(b, RoomEvent.DataReceived, (payload, participant) => [new TextDecoder().decode(payload), participant?.identity]);
  const speaking = once(b, RoomEvent.ActiveSpeakersChanged, (speakers) => speakers.length && speakers.map((s) => s.identity));
  const reconnected = once(a, RoomEvent.Reconnected, () => true);
  let full = false;
  a.on(RoomEvent.Reconnecting, () => (full = true));
  await a.connect(url, tokenA);
  await b.connect(url, tokenB);
  const [ann, bob] = [a.localParticipant, b.localParticipant];

  const context = new AudioContext();
  await context.resume();
  const tone = context.createOscillator();
  tone.frequency.value = FREQUENCY;
  const output = context.createMediaStreamDestination();
  tone.connect(output);
  tone.start();
  await ann.publishTrack(output.stream.getAudioTracks()[0], { source: "microphone" });
  const [track, publisher] = await subscribed;
  check("the publisher is known", publisher === ann.identity);
  track.attach().play().catch(() => {});
  await loudestFrequency(context, track);
  check("the publisher is the active speaker", (await speaking).join() === ann.identity);

  const text = new Promise((resolve) =>
    b.registerTextStreamHandler("lk.chat", async (reader, participant) => resolve([await reader.readAll(), participant.identity])));
  await ann.publishData(new TextEncoder().encode("hi"), { reliable: true });
  check("data arrives", (await data).join() === `hi,${ann.identity}`);
  await ann.sendText("bonjour", { topic: "lk.chat" });
  check("a text stream arrives", (await text).join() === `bonjour,${ann.identity}`);
  b.registerRpcMethod("greet", async (call) => `hello ${call.payload}`);
  const answer = await ann.performRpc({ destinationIdentity: bob.identity, method: "greet", payload: "x" });
  check("a call is answered", answer === "hello x");
  await ann.setAttributes({ k: "v" });
  check("attributes are set", ann.attributes.k === "v");

  check(`${connections} peer connections`, connections === 2 * expected);

  await a.simulateScenario("signal-reconnect");
  await reconnected;
  check("a broken signal connection is resumed, not begun anew", !full && b.remoteParticipants.size === 1);
  await loudestFrequency(context, track);
  await a.disconnect();
  await b.disconnect();
  return "ok";
};
