// Where the time went between the caller's last word and the agent's first, as bars on one time axis.
//
// The agent measures durations; their places follow from how a turn runs: endpointing and recognition begin when the caller
// falls silent; synthesis ends with the first sound; the model's request began `llm_ttfs` before the synthesis (with
// a speculative reply that is before the turn was decided), and retrieval ended where that request began.

import type { TurnMetrics } from './events';

export interface Bar {
  kind: 'endpointing' | 'stt' | 'knowledge' | 'llm' | 'tts';
  label: string;
  startMs: number;
  durationMs: number;
}

export interface Waterfall {
  totalMs: number;
  bars: Bar[];
}

export function waterfall(metrics: TurnMetrics): Waterfall | undefined {
  const total = metrics.e2e_latency_ms ?? sum(metrics);
  if (total === undefined || total <= 0) return undefined;
  const bars: Bar[] = [];
  const add = (kind: Bar['kind'], label: string, startMs: number, durationMs: number | undefined) => {
    if (durationMs === undefined) return;
    const start = Math.min(Math.max(startMs, 0), total);
    bars.push({ kind, label, startMs: start, durationMs: Math.max(Math.min(durationMs, total - start), 0) });
  };
  const speechAt = total - (metrics.tts_ttfb_ms ?? 0);
  const requestAt = speechAt - (metrics.llm_ttfs_ms ?? metrics.llm_ttft_ms ?? 0);
  add('endpointing', 'Endpointing', 0, metrics.end_of_turn_delay_ms);
  add('stt', 'Speech to text', 0, metrics.transcription_delay_ms);
  add('knowledge', 'Knowledge', requestAt - (metrics.retrieval_ms ?? 0), metrics.retrieval_ms);
  add('llm', 'First token', requestAt, metrics.llm_ttft_ms);
  add('tts', 'First audio', speechAt, metrics.tts_ttfb_ms);
  return { totalMs: total, bars };
}

function sum(metrics: TurnMetrics): number | undefined {
  const parts = [metrics.retrieval_ms, metrics.llm_ttfs_ms ?? metrics.llm_ttft_ms, metrics.tts_ttfb_ms].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.reduce((a, b) => a + b, 0);
}

export function formatMs(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms)} ms`;
}

/** The bars as a figure that also reads well aloud. */
export function renderWaterfall(metrics: TurnMetrics): HTMLElement | undefined {
  const result = waterfall(metrics);
  if (!result) return undefined;
  const figure = document.createElement('details');
  figure.className = 'waterfall';
  const summary = document.createElement('summary');
  const answers = metrics.e2e_latency_ms !== undefined;
  const words = answers ? `answered in ${formatMs(result.totalMs)}` : `first sound after ${formatMs(result.totalMs)}`;
  const spoken = result.bars.map((bar) => `${bar.label} ${formatMs(bar.durationMs)}`).join(', ');
  summary.setAttribute('aria-label', `${words}: ${spoken}`);
  const strip = document.createElement('span');
  strip.className = 'strip';
  strip.setAttribute('aria-hidden', 'true');
  const rows = document.createElement('div');
  rows.className = 'rows';
  for (const bar of result.bars) {
    strip.append(barElement(bar, result.totalMs));
    const row = document.createElement('div');
    row.className = 'row';
    const label = document.createElement('span');
    label.textContent = bar.label;
    const lane = document.createElement('span');
    lane.className = 'lane';
    lane.append(barElement(bar, result.totalMs));
    const value = document.createElement('span');
    value.className = 'value';
    value.textContent = formatMs(bar.durationMs);
    row.append(label, lane, value);
    rows.append(row);
  }
  const total = document.createElement('span');
  total.className = 'total';
  total.textContent = formatMs(result.totalMs);
  summary.append(strip, total);
  const notes = [metrics.preemptive ? 'The reply was begun before the turn was decided.' : '', metrics.tool_steps > 0 ? `${metrics.tool_steps} tool step${metrics.tool_steps > 1 ? 's' : ''} came first.` : ''].filter(Boolean);
  if (notes.length > 0) {
    const note = document.createElement('p');
    note.textContent = notes.join(' ');
    rows.append(note);
  }
  figure.append(summary, rows);
  return figure;
}

function barElement(bar: Bar, totalMs: number): HTMLElement {
  const element = document.createElement('i');
  element.className = bar.kind;
  element.style.left = `${(bar.startMs / totalMs) * 100}%`;
  element.style.width = `max(2px, ${(bar.durationMs / totalMs) * 100}%)`;
  return element;
}
