// LiveKit's own JavaScript SDK, unmodified, against the room server.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { startLiveKit, startServer, token } from './programs.mjs';
import { PATIENCE_MS, launch } from './visitor.mjs';

const FILES = {
  '/': ['text/html', '<!doctype html><script type=module src=/page.js></script>'],
  '/page.js': ['text/javascript', readFileSync(new URL('sdk/page.js', import.meta.url))],
  '/livekit-client.mjs': ['text/javascript', readFileSync(createRequire(import.meta.url).resolve('livekit-client').replace(/[^/]+$/, 'livekit-client.esm.mjs'))],
};

const GRANTS = { room: 'sdk', canUpdateOwnMetadata: true };

/** The SDK at its defaults, and as older ones are. */
const TOPOLOGIES = [
  ['one peer connection', undefined, 1],
  ['two peer connections', { singlePeerConnection: false }, 2],
];
const SERVERS = [
  ['our server', startServer],
  ["LiveKit's server", startLiveKit],
];

for (const [topology, options, expected] of TOPOLOGIES) {
  for (const [place, begin] of SERVERS) {
    test(`with ${topology} on ${place} the JavaScript SDK joins, publishes, hears, calls and resumes`, { timeout: 120_000 }, async (context) => {
      const server = await begin();
      if (!server) return context.skip("LiveKit's own server is not here: scripts/go-program.sh builds it with Go");
      await visit(server, options, expected);
    });
  }
}

async function visit(server, options, expected) {
  const pages = createServer((request, response) => {
    const [type, body] = FILES[request.url] ?? ['text/plain', ''];
    response.setHeader('content-type', type).end(body);
  });
  await new Promise((ready) => pages.listen(0, '127.0.0.1', ready));
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    await page.waitForFunction(() => window.run);
    const late = setTimeout(() => browser.close(), PATIENCE_MS);
    const answers = [];
    page.on('websocket', (socket) => answers.push(new URL(socket.url()).pathname));
    page.on('response', (response) => response.status() >= 400 && answers.push(`${response.status()} ${response.url()}`));
    await page.evaluate((args) => window.run(...args), [server.url.replace('http', 'ws'), token('ann', GRANTS), token('bob', GRANTS), options, expected]);
    clearTimeout(late);
    // Two joins and a resume, and nothing that was tried in vain.
    assert.deepEqual(answers, Array(3).fill(expected === 1 ? '/rtc/v1' : '/rtc'));
  } finally {
    await browser.close();
    await server.stop();
    pages.close();
  }
}
