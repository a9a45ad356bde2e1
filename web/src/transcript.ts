// The conversation on the page: what was said by both sides, tools as they run, and a waterfall under every answer.

import type { AgentEvent, ToolEnded, ToolStarted, TurnMetrics } from './events';
import { formatMs, renderWaterfall } from './waterfall';

/** More entries than this and the oldest go: a call may last for hours. */
const MAX_ENTRIES = 300;

export class Transcript {
  private readonly segments = new Map<string, HTMLElement>();
  private readonly tools = new Map<string, HTMLElement>();
  private readonly waiting = new Map<string, TurnMetrics>();
  private lastAgent: HTMLElement | undefined;

  constructor(
    private readonly list: HTMLOListElement,
    private readonly onFirst: () => void,
  ) {}

  clear(): void {
    this.list.replaceChildren();
    for (const map of [this.segments, this.tools, this.waiting]) map.clear();
    this.lastAgent = undefined;
  }

  /** Replaces (user) or sets (agent, already accumulated) the words of a segment. */
  say(who: 'user' | 'agent', segmentId: string, words: string, final: boolean): void {
    let entry = this.segments.get(segmentId);
    if (!entry) {
      if (!words.trim()) return;
      entry = this.add(`said ${who}`);
      entry.dataset['segment'] = segmentId;
      const name = document.createElement('span');
      name.className = 'visually-hidden';
      name.textContent = who === 'user' ? 'You: ' : 'Agent: ';
      const bubble = document.createElement('p');
      bubble.append(name, document.createElement('span'));
      entry.append(bubble);
      this.segments.set(segmentId, entry);
    }
    const span = entry.querySelector('p > span:last-child');
    if (span && words.trim()) span.textContent = words.trim();
    entry.classList.toggle('interim', !final);
    if (who === 'agent') {
      this.lastAgent = entry;
      const metrics = this.waiting.get(segmentId);
      if (metrics) this.attach(entry, metrics);
    }
    this.scroll();
  }

  typed(words: string): void {
    this.say('user', `typed_${crypto.randomUUID()}`, words, true);
  }

  event(event: AgentEvent): void {
    switch (event.type) {
      case 'turn_metrics': {
        const entry = this.segments.get(event.segment_id);
        if (entry) this.attach(entry, event);
        else this.waiting.set(event.segment_id, event);
        break;
      }
      case 'tool_started':
        this.toolStarted(event);
        break;
      case 'tool_ended':
        this.toolEnded(event);
        break;
      case 'knowledge_used':
        if (event.passages.length > 0) this.knowledge(event.passages);
        break;
      case 'interrupted':
        this.lastAgent?.classList.add('interrupted');
        break;
      case 'error':
      case 'agent_false_interruption':
      case 'closed':
        break;
      default:
        event satisfies never;
    }
    this.scroll();
  }

  private attach(entry: HTMLElement, metrics: TurnMetrics): void {
    this.waiting.delete(metrics.segment_id);
    entry.querySelector('.waterfall')?.remove();
    const figure = renderWaterfall(metrics);
    if (figure) entry.append(figure);
  }

  private toolStarted(event: ToolStarted): void {
    const entry = this.add('tool running');
    const box = document.createElement('details');
    const summary = document.createElement('summary');
    const name = document.createElement('code');
    name.textContent = event.name;
    const state = document.createElement('span');
    state.className = 'tool-state';
    state.textContent = 'running …';
    summary.append('Tool ', name, state);
    const input = document.createElement('pre');
    input.textContent = pretty(event.arguments);
    box.append(summary, input);
    entry.append(box);
    this.tools.set(event.call_id, entry);
  }

  private toolEnded(event: ToolEnded): void {
    const entry = this.tools.get(event.call_id);
    if (!entry) return;
    this.tools.delete(event.call_id);
    entry.classList.remove('running');
    entry.classList.toggle('failed', event.is_error);
    const state = entry.querySelector('.tool-state');
    if (state) state.textContent = `${event.is_error ? 'failed' : 'done'} in ${formatMs(event.duration_ms)}`;
    const output = document.createElement('pre');
    output.className = 'output';
    output.textContent = pretty(event.output);
    entry.querySelector('details')?.append(output);
  }

  private knowledge(passages: { source: string; text: string }[]): void {
    const entry = this.add('knowledge');
    const box = document.createElement('details');
    const summary = document.createElement('summary');
    const sources = [...new Set(passages.map((passage) => passage.source))];
    const first = document.createElement('code');
    first.textContent = sources[0] ?? '';
    summary.append('Knowledge ', first, sources.length > 1 ? ` and ${sources.length - 1} more` : '');
    box.append(summary);
    for (const passage of passages) {
      const quote = document.createElement('blockquote');
      const source = document.createElement('cite');
      source.textContent = passage.source;
      quote.append(document.createTextNode(passage.text), source);
      box.append(quote);
    }
    entry.append(box);
  }

  private add(className: string): HTMLElement {
    if (this.list.childElementCount === 0) this.onFirst();
    const entry = document.createElement('li');
    entry.className = className;
    this.list.append(entry);
    while (this.list.childElementCount > MAX_ENTRIES) {
      const oldest = this.list.firstElementChild as HTMLElement;
      this.segments.delete(oldest.dataset['segment'] ?? '');
      oldest.remove();
    }
    return entry;
  }

  private scroll(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    if (scrollHeight - scrollTop - clientHeight < 160) this.list.scrollTop = scrollHeight;
  }
}

/** JSON laid out for reading; anything else as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
