// Without any account: recognition, answers and speech on this machine.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { startAntiphon } from './programs.mjs';
import { microphoneFile } from './sound.mjs';
import { visit } from './visitor.mjs';

test('a newcomer without keys speaks and is answered from the knowledge, and books a table by typing', { timeout: 150_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'antiphon-microphone-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const antiphon = await startAntiphon();
  context.after(() => antiphon.stop());
  const microphone = microphoneFile(join(folder, 'microphone.wav'), [[7, 'what time do you open on sunday']]);
  await visit(antiphon, microphone, async (visitor) => {
    assert.match(await visitor.page.getByRole('list', { name: 'Providers in use' }).innerText(), /PocketSphinx[^]*built in[^]*flite/);
    await visitor.press('Start call');
    await visitor.listen();
    await visitor.hears();
    await visitor.said('agent', 'the olive press');
    await visitor.said('user', 'sunday');
    // A small recogniser behind a browser's audio processing: what the answer says depends on what it made of the
    // question, so that there is one is looked at here, and its words after the typed question.
    await visitor.page.locator('.said.agent .waterfall').first().waitFor();
    await visitor.type('What time do you open on Sunday?');
    await visitor.said('agent', 'open for lunch from tuesday to sunday');
    await visitor.page.locator('.knowledge').first().waitFor();
    await visitor.type('I would like to book a table for two tomorrow at seven in the evening, my name is Ada');
    await visitor.said('agent', 'shall i book a table for 2');
    await visitor.type('Yes, please.');
    await visitor.page.locator('.tool').first().waitFor();
    await visitor.page.locator('.tool:not(.running)').first().waitFor();
    await visitor.state('listening');
    await visitor.screenshot('local');
    const loud = (await visitor.heard('local')).filter((level) => level > 0.01).length;
    assert.ok(loud > 40, `several seconds of speech were heard: ${loud / 10} s`);
    await visitor.press('End call');
    await visitor.state('off');
  });
});
