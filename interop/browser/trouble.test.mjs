// What the page says when its server refuses, is gone, or goes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { startAntiphon } from './programs.mjs';
import { microphoneFile } from './sound.mjs';
import { Visitor, launch } from './visitor.mjs';

const TEST = { timeout: 90_000 };
let browser;
let antiphon;
let visitor;

let folder;

before(async () => {
  // without a file the fake microphone beeps, which is a caller who talks
  folder = mkdtempSync(join(tmpdir(), 'antiphon-microphone-'));
  browser = await launch(microphoneFile(join(folder, 'silence.wav'), []));
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  antiphon = await startAntiphon();
  visitor = await Visitor.arrive(browser, antiphon.url);
});

async function alertSays(pattern, shot) {
  await visitor.until(`an alert like ${pattern}`, (source) => new RegExp(source).test(document.querySelector('#alert').innerText), pattern.source);
  await visitor.screenshot(shot);
  await visitor.leave();
}

test('too many calls: wait so long', TEST, async () => {
  await visitor.page.route('**/api/playground/connect', (route) => route.fulfill({ status: 429, headers: { 'retry-after': '7' }, body: 'rate limited' }));
  await visitor.press('Start call');
  await alertSays(/Too many calls.*Wait 7 seconds/, 'trouble-429');
  await antiphon.stop();
});

test('a stopped server: it cannot be reached', TEST, async () => {
  await antiphon.stop();
  await visitor.press('Start call');
  await visitor.state('off');
  await alertSays(/cannot reach Antiphon/, 'trouble-stopped');
});

test('a server that is stopped during a call: the call is over, and why', TEST, async () => {
  await visitor.press('Start call');
  await visitor.said('agent', 'the olive press');
  const stopped = antiphon.stop();
  await visitor.state('off');
  await alertSays(/server was stopped|call was ended/, 'trouble-shutdown');
  await stopped;
});

test('a server that dies during a call: first trying again, then the truth', TEST, async () => {
  await visitor.press('Start call');
  await visitor.said('agent', 'the olive press');
  await antiphon.stop('SIGKILL');
  await visitor.state('reconnecting');
  assert.match(await visitor.alert(), /connection was lost/);
  await visitor.state('off');
  await alertSays(/did not come back/, 'trouble-lost');
});
