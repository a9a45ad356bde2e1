// Where the time went between the caller's last word and the agent's first, as bars on one time axis.
//
// The agent measures durations; their places follow from how a turn runs. Endpointing and recognition begin when the caller
// falls silent. Retrieval, the model and synthesis follow one another and end with the first sound; a reply that was begun
// early starts with the last words recognised and may be ready before the turn is decided, and then waits for that.

import type { TurnMetrics } from './events';

export interface Bar {
  kind: 'endpointing' | 'stt' | 'tools' | 'knowledge' | 'llm' | 'tts';
  label: string;
  /** Where it is drawn: inside the picture whatever was measured. */
  startMs: number;
  lengthMs: number;
  /** What was measured, for the label. */
  durationMs: number;
}

export interface Waterfall {
  totalMs: number;
  bars: Bar[];
}

export function waterfall(metrics: TurnMetrics): Waterfall | undefined {
  const model = metrics.llm_ttfs_ms ?? metrics.llm_ttft_ms;
  const parts = [metrics.retrieval_ms, model, metrics.tts_ttfb_ms].filter((part) => part !== undefined);
  const chain = parts.reduce((sum, part) => sum + part, 0);
  const total = metrics.e2e_latency_ms ?? chain;
  if (!(total > 0)) return undefined;
  const latest = total - chain;
  const retrievalAt = metrics.preemptive ? Math.min(latest, metrics.transcription_delay_ms ?? latest) : latest;
  const requestAt = retrievalAt + (metrics.retrieval_ms ?? 0);
  const decidedAt = metrics.end_of_turn_delay_ms ?? 0;
  const bars: Bar[] = [];
  const add = (kind: Bar['kind'], label: string, from: number, durationMs: number | undefined) => {
    if (durationMs === undefined) return;
    const start = Math.min(Math.max(from, 0), total);
    const end = Math.min(Math.max(from + durationMs, start), total);
    bars.push({ kind, label, startMs: start, lengthMs: end - start, durationMs });
  };
  add('endpointing', 'Endpointing', 0, metrics.end_of_turn_delay_ms);
  add('stt', 'Speech to text', 0, metrics.transcription_delay_ms);
  if (metrics.tool_steps > 0 && retrievalAt > decidedAt) {
    // the first request to the model and its tools lie between the decision and the step that spoke
    add('tools', 'Tools', decidedAt, retrievalAt - decidedAt);
  }
  add('knowledge', 'Knowledge', retrievalAt, metrics.retrieval_ms);
  add('llm', 'LLM first token', requestAt, metrics.llm_ttft_ms);
  add('tts', 'TTS first audio', requestAt + (model ?? 0), metrics.tts_ttfb_ms);
  return { totalMs: total, bars };
}

export function formatMs(ms: number): string {
  return ms >= 999.5 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms)} ms`;
}

/** The bars as a figure that also reads well aloud. */
export function renderWaterfall(metrics: TurnMetrics): HTMLDetailsElement | undefined {
  const result = waterfall(metrics);
  if (!result) return undefined;
  const { totalMs, bars } = result;
  const figure = document.createElement('details');
  figure.className = 'waterfall';
  const summary = document.createElement('summary');
  const spoken = bars.map((bar) => `${bar.label} ${formatMs(bar.durationMs)}`).join(', ');
  const strip = element('span', 'strip');
  strip.setAttribute('aria-hidden', 'true');
  strip.append(...bars.map((bar) => barElement(bar, totalMs)));
  summary.append(strip, element('span', 'total', formatMs(totalMs)), ' ', element('span', 'unit', 'to first sound'), element('span', 'visually-hidden', `: ${spoken}`));
  const rows = element('div', 'rows');
  for (const bar of bars) {
    const row = element('div', 'row');
    const lane = element('span', 'lane');
    lane.append(barElement(bar, totalMs));
    row.append(element('span', 'label', bar.label), lane, element('span', 'value', formatMs(bar.durationMs)));
    rows.append(row);
  }
  const notes = [
    metrics.preemptive ? 'The reply was begun before the turn was decided.' : '',
    metrics.tool_steps > 0 ? `${metrics.tool_steps} tool step${metrics.tool_steps > 1 ? 's' : ''} came first.` : '',
  ].filter(Boolean);
  if (notes.length > 0) rows.append(element('p', 'note', notes.join(' ')));
  figure.append(summary, rows);
  return figure;
}

function barElement(bar: Bar, totalMs: number): HTMLElement {
  const node = element('i', bar.kind);
  node.style.left = `${(bar.startMs / totalMs) * 100}%`;
  node.style.width = `${(bar.lengthMs / totalMs) * 100}%`;
  return node;
}

function element(tag: string, className: string, words = ''): HTMLElement {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = words;
  return node;
}
