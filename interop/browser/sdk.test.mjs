// LiveKit's own JavaScript SDK, unmodified, against the room server.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { startServer } from './programs.mjs';
import { PATIENCE_MS, launch } from './visitor.mjs';

const FILES = {
  '/': ['text/html', '<!doctype html><script type=module src=/page.js></script>'],
  '/page.js': ['text/javascript', readFileSync(new URL('sdk/page.js', import.meta.url))],
  '/livekit-client.mjs': ['text/javascript', readFileSync(createRequire(import.meta.url).resolve('livekit-client').replace(/[^/]+$/, 'livekit-client.esm.mjs'))],
};

/** As a developer's own server makes them. */
function token(identity) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const video = { roomJoin: true, room: 'sdk', canUpdateOwnMetadata: true };
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iss: 'devkey', sub: identity, name: identity, exp: Math.floor(Date.now() / 1000) + 600, video })}`;
  return `${text}.${createHmac('sha256', 'secret').update(text).digest('base64url')}`;
}

test('the JavaScript SDK joins, publishes, hears, calls and resumes', { timeout: 120_000 }, async () => {
  const pages = createServer((request, response) => {
    const [type, body] = FILES[request.url] ?? ['text/plain', ''];
    response.setHeader('content-type', type).end(body);
  });
  await new Promise((ready) => pages.listen(0, '127.0.0.1', ready));
  const server = await startServer();
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    await page.waitForFunction(() => window.run);
    const late = setTimeout(() => browser.close(), PATIENCE_MS);
    await page.evaluate((args) => window.run(...args), [server.url.replace('http', 'ws'), token('ann'), token('bob')]);
    clearTimeout(late);
  } finally {
    await browser.close();
    await server.stop();
    pages.close();
  }
});
