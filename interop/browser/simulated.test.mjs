// Calls through the page with Deepgram and OpenAI simulated: what is heard and said is known, so everything can be checked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { startAntiphon, startSimulator } from './programs.mjs';
import { microphoneFile } from './sound.mjs';
import { visit as visitAt } from './visitor.mjs';

const TEST = { timeout: 150_000 };
const STORY = Array.from({ length: 40 }, (_, index) => `This is sentence number ${index + 1} of a very long story about olives and the harbour.`).join(' ');
const SCRIPT = {
  utterances: ['do you have vegan dishes', 'that is enough'],
  utterances_shared: true,
  delays: { llm_first_token_ms: 300, llm_token_ms: 10, tts_first_byte_ms: 120, stt_final_ms: 60 },
  rules: [
    { when: 'vegan', text: 'Yes, tonight there is a mushroom risotto and a lentil stew, both without any animal products.' },
    { when: 'table', tool_calls: [{ name: 'find_tables', arguments: { date: '2099-12-24', time: '19:00', party_size: 2 } }] },
    { when: '', after_tool: 'find_tables', text: 'I have looked into the book. Which name shall I write down?' },
    { when: 'story', text: STORY },
    { when: 'enough', text: 'Of course.' },
  ],
};

let folder;
let simulator;
let antiphon;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antiphon-microphone-'));
  simulator = await startSimulator(SCRIPT);
  antiphon = await startAntiphon(simulator.env);
});

after(async () => {
  await antiphon?.stop();
  await simulator?.stop();
  rmSync(folder, { recursive: true });
});

/** A call of one visitor who says these sentences. */
async function visit(sentences, act) {
  await simulator.script(SCRIPT);
  await visitAt(antiphon, microphoneFile(join(folder, 'microphone.wav'), sentences), act);
}

test('a caller is greeted, asks by voice, is answered aloud, and sees all of it', TEST, () =>
  visit([[7, 'do you have vegan dishes']], async (visitor) => {
    const { page } = visitor;
    await visitor.portraits('before');
    await visitor.press('Start call');
    await visitor.listen();
    await visitor.hears();
    await visitor.said('agent', 'the olive press');

    await visitor.said('user', 'do you have vegan dishes');
    await visitor.said('agent', 'mushroom risotto');
    await visitor.state('listening');
    const { states, interim } = await visitor.seen();
    const order = ['connecting', 'listening', 'thinking', 'speaking', 'listening'];
    let at = -1;
    for (const state of order) {
      at = states.indexOf(state, at + 1);
      assert.notEqual(at, -1, `${order} in ${states}`);
    }
    assert.ok(interim > 0, 'words appeared while they were spoken');

    const answer = page.locator('.said.agent', { hasText: 'risotto' });
    const waterfall = answer.locator('.waterfall');
    await waterfall.waitFor();
    await waterfall.locator('summary').focus();
    await page.keyboard.press('Enter');
    const rows = await waterfall.locator('.row').allInnerTexts();
    for (const part of ['Endpointing', 'Speech to text', 'LLM first token']) {
      assert.ok(rows.some((row) => row.startsWith(part) && /\d+(\.\d+)? (ms|s)$/.test(row.trim())), `${part} in ${rows}`);
    }
    for (const bar of await waterfall.locator('.row .lane').all()) {
      const lane = await bar.boundingBox();
      const inner = await bar.locator('i').boundingBox();
      assert.ok(inner.x >= lane.x - 1 && inner.x + inner.width <= lane.x + lane.width + 4, 'bars stay in their lane');
    }

    await visitor.type('I would like a table for two');
    await visitor.said('agent', 'Which name shall I write down?');
    const { tools, announced } = await visitor.seen();
    assert.equal(tools[0], 'find_tables: running …');
    assert.match(tools.at(-1), /^find_tables: (done|failed) in \d/);
    assert.match(await page.locator('.tool pre.input').textContent(), /"party_size": 2/);
    assert.equal(announced.filter((line) => line.includes('mushroom risotto')).length, 1, 'a screen reader reads an answer once');
    assert.ok(!announced.some((line) => line.includes('do you have')), 'and never what the caller said');
    await visitor.state('listening');
    const booked = page.locator('.said.agent', { hasText: 'Which name' }).locator('.waterfall .rows');
    assert.match(await booked.textContent(), /LLM first token.*1 tool step/s);
    await visitor.portraits('call');
    await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)));
    await visitor.portraits('details');

    const loud = (await visitor.heard('answers')).filter((level) => level > 0.01).length;
    assert.ok(loud > 40, `several seconds of speech were heard: ${loud / 10} s`);
    await visitor.press('End call');
    await visitor.state('off');
    assert.equal(await page.getByRole('button', { name: 'Start call' }).evaluate((button) => button === document.activeElement), true);
    assert.equal(await page.locator('audio').count(), 0);
  }));

test('a muted caller is not heard, and one who speaks up silences the agent', TEST, () =>
  visit([[8, 'nobody should hear this'], [19, 'that is enough thank you very much']], async (visitor) => {
    const { page } = visitor;
    await simulator.script({ ...SCRIPT, utterances: ['that is enough'] });
    await visitor.press('Start call');
    await visitor.listen();
    await visitor.press('Mute microphone');
    assert.equal(await page.getByRole('button', { name: 'Mute microphone' }).getAttribute('aria-pressed'), 'true');
    await visitor.said('agent', 'the olive press');
    await visitor.microphoneAt(11);
    assert.equal(await page.locator('.said.user').count(), 0);
    await visitor.press('Mute microphone');

    await visitor.type('tell me a story');
    await visitor.state('speaking');
    await visitor.hears();
    await page.locator('.said.agent.interrupted').waitFor();
    await visitor.silence();
    await visitor.said('user', 'that is enough');
    await visitor.said('agent', 'of course');
    const told = await page.locator('.said.agent.interrupted .words').innerText();
    assert.ok(told.length < STORY.length / 2, `only what was heard stays on the page: ${told}`);
    await visitor.heard('interruption');
    await visitor.press('End call');
    await visitor.state('off');
  }));

test('trouble of a provider is told, and the call goes on', TEST, () =>
  visit([], async (visitor) => {
    await visitor.press('Start call');
    await visitor.said('agent', 'the olive press');
    await simulator.script({ ...SCRIPT, faults: [{ endpoint: 'chat', fault: 'status', status: 429, retry_after_s: 1 }] });
    await visitor.type('tell me a story');
    await visitor.until('the trouble, and what to do', () => /cannot think.*limits the rate[^]*Wait/.test(document.querySelector('#troubles').innerText));
    await visitor.screenshot('provider-trouble');
    await simulator.script(SCRIPT);
    await visitor.state('listening');
    await visitor.type('do you have vegan dishes');
    await visitor.said('agent', 'mushroom risotto');
    await visitor.until('the trouble going by itself', () => document.querySelector('#troubles').hidden);
    await visitor.press('End call');
  }));

test('a voice and a recogniser that both refuse the key are both told, in words and not only to the ear', TEST, () =>
  visit([], async (visitor) => {
    const refuse = (endpoint) => ({ endpoint, fault: 'status', status: 401 });
    await simulator.script({ ...SCRIPT, faults: [refuse('speech'), refuse('listen')] });
    await visitor.press('Start call');
    await visitor.until('both troubles', () => ['stt', 'tts'].every((part) => /refused the key.*[^]*valid/.test(document.querySelector(`#troubles [data-part="${part}"]`)?.innerText)));
    await visitor.until('an honest state', () => /Cannot/.test(document.querySelector('#agent-state').innerText));
    await visitor.portraits('provider-401');
    await visitor.press('End call');
  }));

test('every answer shows how long its first audio took', TEST, () =>
  visit([], async (visitor) => {
    await visitor.press('Start call');
    await visitor.said('agent', 'the olive press');
    await visitor.type('I would like a table for two');
    await visitor.said('agent', 'Which name shall I write down?');
    const rows = visitor.page.locator('.said.agent', { hasText: 'Which name' }).locator('.waterfall .rows');
    assert.match(await rows.textContent(), /TTS first audio/);
  }));
