// A person at the playground: headless Chromium with a microphone that plays a file, the keyboard, eyes and ears.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { ARTIFACTS } from './programs.mjs';
import { writeWav } from './sound.mjs';

/** Limits, not measurements: the machine may be busy. */
export const PATIENCE_MS = 45_000;
/** Above this (RMS of full scale) somebody is speaking; Opus' comfort noise is far below. */
const AUDIBLE = 0.01;
const EAR_HZ = 16_000;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

function chromiumPath() {
  return process.env.CHROMIUM ?? execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
}

/** A browser with a fresh profile; `microphone` is a WAV file, played once from when the page opens the microphone. */
export function launch(microphone) {
  const args = [
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
    ...(microphone ? [`--use-file-for-fake-audio-capture=${microphone}%noloop`] : []),
    // its sandbox starts neither as root nor in most containers, and all it would see here is our own page
    '--no-sandbox',
  ];
  return chromium.launch({ executablePath: chromiumPath(), args });
}

/** One visitor at `antiphon`, from arriving to leaving; what went wrong on the page fails the test, with what the program printed. */
export async function visit(antiphon, microphone, act) {
  const browser = await launch(microphone);
  try {
    const visitor = await Visitor.arrive(browser, antiphon.url);
    await act(visitor);
    assert.deepEqual(visitor.problems, []);
  } catch (error) {
    error.message += `\n--- antiphon\n${antiphon.output}`;
    throw error;
  } finally {
    await browser.close();
  }
}

export class Visitor {
  problems = [];

  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => this.problems.push(String(error)));
    page.on('console', (message) => {
      // the SDK asks for a newer door first and takes 404 for an answer
      const expected = /\/rtc\/v1|status of 404/.test(message.text() + message.location().url);
      if (message.type() === 'error' && !expected) this.problems.push(message.text());
    });
  }

  static async arrive(browser, url, options = {}) {
    const context = await browser.newContext({ viewport: DESKTOP, colorScheme: 'light', ...options });
    await context.addInitScript(witness);
    const visitor = new Visitor(await context.newPage());
    await visitor.page.goto(url);
    await visitor.page.locator('#providers li').first().waitFor();
    return visitor;
  }

  async leave() {
    await this.page.context().close();
  }

  // --- hands

  /** Moves the focus by Tab until it is on the control with this accessible name, and presses Enter. */
  async press(name) {
    // a control that appears only when the call stands is waited for
    await this.until(`a control “${name}”`, (wanted) =>
      [...document.querySelectorAll('button, a, input, select, summary')].some(
        (control) => control.checkVisibility() && (control.getAttribute('aria-label') ?? control.textContent.trim()) === wanted), name);
    for (let presses = 0; presses < 40; presses += 1) {
      const focused = await this.page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim());
      if (focused === name) return this.page.keyboard.press('Enter');
      await this.page.keyboard.press('Tab');
    }
    throw new Error(`the keyboard does not reach “${name}”`);
  }

  async type(words) {
    const field = this.page.getByRole('textbox', { name: 'Type a message' });
    await field.fill(words);
    await field.press('Enter');
  }

  // --- eyes

  async until(what, predicate, argument) {
    try {
      await this.page.waitForFunction(predicate, argument, { polling: 50 });
    } catch (error) {
      const page = await this.page.locator('body').innerText().catch(() => '(gone)');
      throw new Error(`${what} did not happen: ${error.message}\nproblems: ${this.problems.join('; ')}\nthe page:\n${page}`);
    }
  }

  state(...states) {
    return this.until(`state ${states.join(' or ')}`, (wanted) => wanted.includes(document.body.dataset.state), states);
  }

  /** Final words of one side that contain this, whatever the case. */
  said(who, words) {
    const predicate = ([side, part]) => [...document.querySelectorAll(`.said.${side}:not(.interim)`)].some((entry) => entry.textContent.toLowerCase().includes(part));
    return this.until(`the ${who} saying “${words}”`, predicate, [who, words.toLowerCase()]);
  }

  answers() {
    return this.page.locator('.said.agent:not(.interim)').count();
  }

  alert() {
    return this.page.getByRole('alert').innerText();
  }

  async screenshot(name) {
    // every picture at rest: nothing half-way through a transition
    await this.page.screenshot({ path: join(ARTIFACTS, `playground-${name}.png`), animations: 'disabled' });
  }

  /** What axe-core finds that keeps people out, as readable lines. */
  async barriers() {
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() => window.axe.run(document));
    return violations.map(({ impact, id, help, nodes }) => `${impact} ${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
  }

  seen() {
    return this.page.evaluate(() => window.seen);
  }

  /** Waits until the microphone's file has played so far. */
  microphoneAt(seconds) {
    return this.until(`second ${seconds} of the microphone's file`, (ms) => window.seen.microphoneAt && performance.now() - window.seen.microphoneAt > ms, seconds * 1000);
  }

  /** The same moment on a desk and on a phone, by day and by night; nothing may be wider than the screen. */
  async portraits(name) {
    for (const [device, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      for (const colorScheme of ['light', 'dark']) {
        await this.page.setViewportSize(viewport);
        await this.page.emulateMedia({ colorScheme });
        await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        await this.screenshot(`${name}-${device}-${colorScheme}`);
        const overflow = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (overflow > 0) throw new Error(`${name} on the ${device} is ${overflow} px too wide`);
        const barriers = await this.barriers();
        if (barriers.length > 0) throw new Error(`${name} on the ${device}, ${colorScheme}:\n${barriers.join('\n')}`);
      }
    }
    await this.page.setViewportSize(DESKTOP);
    await this.page.emulateMedia({ colorScheme: 'light' });
  }

  // --- ears

  /** Listens to what the page plays, from now on: the agent's audio element, not the wire. */
  async listen() {
    await this.until('the voice of the agent', () => document.querySelector('audio[data-participant]')?.srcObject);
    await this.page.evaluate(() => {
      const element = document.querySelector('audio[data-participant]');
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      analyser.fftSize = 2048;
      context.createMediaStreamSource(element.srcObject).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      const ear = { level: 0, loudest: 0, lastHeard: 0, chunks: [] };
      setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        ear.level = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
        ear.loudest = Math.max(ear.loudest, ear.level);
        ear.playing = !element.paused;
      }, 20);
      ear.recorder = new MediaRecorder(element.srcObject);
      ear.recorder.ondataavailable = (event) => ear.chunks.push(event.data);
      ear.recorder.start();
      window.ear = ear;
    });
  }

  hears() {
    return this.until('a voice', (audible) => window.ear.playing && window.ear.level > audible, AUDIBLE);
  }

  /** Nothing for half a second, which is longer than the pauses inside a sentence. */
  async silence() {
    await this.page.evaluate(() => (window.ear.quietSince = undefined));
    await this.until('silence', (audible) => {
      const { ear } = window;
      if (ear.level > audible) ear.quietSince = undefined;
      else ear.quietSince ??= performance.now();
      return ear.quietSince !== undefined && performance.now() - ear.quietSince > 500;
    }, AUDIBLE);
  }

  /** Ends listening; writes what was heard as a WAV file of 16 kHz and gives the loudness of each 100 ms. */
  async heard(name) {
    const encoded = await this.page.evaluate(async (rate) => {
      const { ear } = window;
      await new Promise((done) => {
        ear.recorder.onstop = done;
        ear.recorder.stop();
      });
      const context = new OfflineAudioContext(1, 1, rate);
      const sound = (await context.decodeAudioData(await new Blob(ear.chunks).arrayBuffer())).getChannelData(0);
      const samples = Int16Array.from(sound, (value) => Math.max(-1, Math.min(1, value)) * 32767);
      let binary = '';
      const bytes = new Uint8Array(samples.buffer);
      for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
      return btoa(binary);
    }, EAR_HZ);
    const bytes = Buffer.from(encoded, 'base64');
    const samples = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    writeWav(join(ARTIFACTS, `playground-${name}.wav`), samples, EAR_HZ);
    const size = EAR_HZ / 10;
    return Array.from({ length: Math.floor(samples.length / size) }, (_, index) => {
      const part = samples.subarray(index * size, (index + 1) * size);
      return Math.sqrt(part.reduce((sum, value) => sum + (value / 32768) ** 2, 0) / size);
    });
  }
}

/** Runs before the page: remembers every state, tool card and the moment the microphone opened, however briefly they last. */
export function witness() {
  window.seen = { states: [], tools: [], interim: 0, announced: [], microphoneAt: undefined };
  const { seen } = window;
  const look = () => {
    const state = document.body?.dataset.state;
    if (state && state !== seen.states.at(-1)) seen.states.push(state);
    const tool = [...document.querySelectorAll('li.tool')].at(-1);
    const now = tool && `${tool.querySelector('code').textContent}: ${tool.querySelector('.tool-state').textContent}`;
    if (now && now !== seen.tools.at(-1)) seen.tools.push(now);
    seen.interim = Math.max(seen.interim, document.querySelectorAll('.said.user.interim').length);
    for (const line of document.querySelectorAll('#announcer p')) {
      if (line.counted) continue;
      line.counted = true;
      seen.announced.push(line.textContent);
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    seen.microphoneAt ??= performance.now();
    return stream;
  };
}
