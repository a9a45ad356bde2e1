import { expect, test } from 'vitest';

import { type TurnMetrics, parseEvent } from '../src/events';
import { formatMs, waterfall } from '../src/waterfall';

const metrics: TurnMetrics = {
  type: 'turn_metrics',
  segment_id: 'SG_speech_1',
  end_of_turn_delay_ms: 500,
  transcription_delay_ms: 200,
  retrieval_ms: 2,
  llm_ttft_ms: 200,
  llm_ttfs_ms: 260,
  tts_ttfb_ms: 140,
  e2e_latency_ms: 900,
  preemptive: false,
  tool_steps: 0,
};

test('bars end where the first sound begins', () => {
  const result = waterfall(metrics);
  expect(result?.totalMs).toBe(900);
  const tts = result?.bars.find((bar) => bar.kind === 'tts');
  expect((tts?.startMs ?? 0) + (tts?.lengthMs ?? 0)).toBe(900);
  expect(result?.bars.find((bar) => bar.kind === 'llm')?.startMs).toBe(500);
});

test('a speculative reply begins before the turn was decided and stays inside the picture', () => {
  const result = waterfall({ ...metrics, e2e_latency_ms: 520, llm_ttft_ms: 900, llm_ttfs_ms: 950, preemptive: true });
  for (const bar of result?.bars ?? []) {
    expect(bar.startMs).toBeGreaterThanOrEqual(0);
    expect(bar.startMs + bar.lengthMs).toBeLessThanOrEqual(520.001);
  }
});

test('a reply that was ready before the turn was decided begins with the last words recognised', () => {
  const result = waterfall({ ...metrics, transcription_delay_ms: 100, preemptive: true });
  expect(result?.bars.find((bar) => bar.kind === 'knowledge')?.startMs).toBe(100);
});

test('a voice that was made ahead is drawn where it was made, with what it took', () => {
  const result = waterfall({ ...metrics, e2e_latency_ms: 700, retrieval_ms: 0, llm_ttft_ms: 100, llm_ttfs_ms: 120, tts_ttfb_ms: 150, preemptive: true });
  const tts = result?.bars.find((bar) => bar.kind === 'tts');
  expect(tts).toMatchObject({ startMs: 320, lengthMs: 150, durationMs: 150 });
});

test('durations that cannot be are left out', () => {
  expect(parseEvent('{"type":"turn_metrics","segment_id":"a","llm_ttft_ms":-5,"tts_ttfb_ms":1e300}')).toEqual({
    type: 'turn_metrics',
    segment_id: 'a',
    preemptive: false,
    tool_steps: 0,
  });
});

test('speech that answers nobody has no picture', () => {
  expect(waterfall({ type: 'turn_metrics', segment_id: 'x', preemptive: false, tool_steps: 0 })).toBeUndefined();
});

test('durations read well', () => {
  expect(formatMs(12.4)).toBe('12 ms');
  expect(formatMs(1234)).toBe('1.23 s');
});

test.each(['', 'null', '[]', '{', '{"type":"unknown"}', '{"type":7}'])('broken event %j is ignored', (json) => {
  expect(parseEvent(json)).toBeUndefined();
});

test('numbers that are not numbers are left out', () => {
  expect(parseEvent('{"type":"turn_metrics","segment_id":"a","llm_ttft_ms":"12","e2e_latency_ms":5}')).toEqual({
    type: 'turn_metrics',
    segment_id: 'a',
    e2e_latency_ms: 5,
    preemptive: false,
    tool_steps: 0,
  });
});

test('passages of any shape do no harm', () => {
  expect(parseEvent('{"type":"knowledge_used","passages":[null,{"source":"menu.md"}]}')).toEqual({
    type: 'knowledge_used',
    passages: [
      { source: '', page: '', score: 0, text: '' },
      { source: 'menu.md', page: '', score: 0, text: '' },
    ],
  });
});
