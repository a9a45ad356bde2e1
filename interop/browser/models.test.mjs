// Without any account, with the models of this machine: a person's recording is the microphone, and a recogniser that is no
// part of the program understands the answer.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ARTIFACTS, CACHE, ROOT, startAntiphon } from './programs.mjs';
import { recordedMicrophone } from './sound.mjs';
import { visit } from './visitor.mjs';

const CONFIGURATION = `
name = "weather"
greeting = "The Olive Press, good day! How can I help you?"

[knowledge]
path = "knowledge"
`;

/** Words of a WAV file, by the recogniser of the Python tests. */
function understand(wav) {
  const program = join(ROOT, 'interop', 'call', 'understand.py');
  return execFileSync(join(CACHE, 'venv', 'bin', 'python'), [program, wav], { encoding: 'utf8' }).toLowerCase();
}

test('a person speaks with the page without any key, and the answer is understood by another recogniser', { timeout: 150_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'antiphon-microphone-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const antiphon = await startAntiphon({ ANTIPHON_MODELS: join(CACHE, 'models') }, (own) => {
    writeFileSync(join(own, 'antiphon.toml'), CONFIGURATION);
    mkdirSync(join(own, 'knowledge'));
    writeFileSync(join(own, 'knowledge', 'weather.md'), '# Weather\n\nThe weather in Paris is mild, with a little rain in the evening.\n');
  });
  context.after(() => antiphon.stop());
  // A busy machine lets the browser's microphone stutter. Who was not understood asks once more, as a person would.
  const question = join(ROOT, 'interop', 'speech', 'weather_question.wav');
  const microphone = recordedMicrophone(join(folder, 'microphone.wav'), question, [8, 30]);
  await visit(antiphon, microphone, async (visitor) => {
    assert.match(await visitor.page.getByRole('list', { name: 'Providers in use' }).innerText(), /Moonshine[^]*built in[^]*hibari/i);
    await visitor.press('Start call');
    await visitor.listen();
    await visitor.said('agent', 'the olive press');
    await visitor.said('user', 'what is the weather in paris');
    await visitor.said('agent', 'mild');
    await visitor.state('listening');
    await visitor.silence();
    await visitor.screenshot('models');
    await visitor.heard('models');
    const heard = understand(join(ARTIFACTS, 'playground-models.wav'));
    for (const word of ['olive press', 'weather', 'paris', 'mild', 'rain', 'evening']) {
      assert.ok(heard.includes(word), `“${word}” was not understood: ${heard}`);
    }
    await visitor.press('End call');
    await visitor.state('off');
  });
});
