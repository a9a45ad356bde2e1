// Sound files: what the fake microphone says, and how loud a recording is.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RATE_HZ = 48_000;
/** A microphone is never digitally silent. */
const NOISE = 3;

/** 16-bit mono samples of a WAV file, at 48 kHz. */
function samplesOf(path) {
  const wav = readFileSync(path);
  const rate = wav.readUInt32LE(24);
  const at = wav.indexOf('data') + 8;
  const from = new Int16Array(wav.buffer.slice(wav.byteOffset + at, wav.byteOffset + at + ((wav.length - at) & ~1)));
  const to = new Int16Array(Math.floor(((from.length - 1) * RATE_HZ) / rate));
  for (let index = 0; index < to.length; index += 1) {
    const place = (index * rate) / RATE_HZ;
    const before = Math.floor(place);
    to[index] = from[before] + (from[before + 1] - from[before]) * (place - before);
  }
  return to;
}

/** A sentence spoken by flite. */
function speak(words) {
  const folder = mkdtempSync(join(tmpdir(), 'antiphon-speech-'));
  try {
    const path = join(folder, 'speech.wav');
    execFileSync('flite', ['-voice', 'slt', '-t', words, '-o', path]);
    return samplesOf(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A WAV file for the fake microphone: sentences at given seconds, then quiet. */
export function microphoneFile(path, sentences, seconds = 90) {
  return microphone(path, sentences.map(([at, words]) => [at, speak(words)]), seconds);
}

/** The same with a recording of a person at given seconds. */
export function recordedMicrophone(path, recording, times, seconds = 90) {
  const sound = samplesOf(recording);
  return microphone(path, times.map((at) => [at, sound]), seconds);
}

function microphone(path, parts, seconds) {
  const samples = Int16Array.from({ length: seconds * RATE_HZ }, () => Math.round((Math.random() * 2 - 1) * NOISE));
  for (const [at, sound] of parts) samples.set(sound, at * RATE_HZ);
  writeWav(path, samples, RATE_HZ);
  return path;
}

export function writeWav(path, samples, rate) {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.length * 2, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.length * 2, 40);
  writeFileSync(path, Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]));
}
