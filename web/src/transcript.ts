// The conversation on the page: what was said by both sides, tools as they run, and a waterfall under every answer.

import type { AgentEvent, Passage, ToolEnded, ToolStarted, TurnMetrics } from './events';
import { formatMs, renderWaterfall } from './waterfall';

/** More entries than this and the oldest go: a call may last for hours. */
const MAX_ENTRIES = 300;
/** Metrics that wait for the words they belong to; speech that never got words leaves some behind. */
const MAX_WAITING = 20;
/** Longer texts are cut: no sentence is that long, and the page must stay quick. */
const MAX_CHARS = 20_000;
/** So near to the end the reader wants to see what comes next. */
const NEAR_END_PX = 80;

export class Transcript {
  private readonly segments = new Map<string, HTMLElement>();
  private readonly tools = new Map<string, HTMLElement>();
  private readonly waiting = new Map<string, TurnMetrics>();
  private lastAgent: HTMLElement | undefined;
  private following = true;
  /** Whoever opens one waterfall wants to see the next ones open, too. */
  private waterfallsOpen = false;

  constructor(
    private readonly list: HTMLOListElement,
    private readonly handlers: {
      first(): void;
      /** Whether the newest entry is in sight. */
      follows(following: boolean): void;
      /** Once for everything worth reading aloud: final words of the agent, tools. */
      announce(words: string): void;
    },
  ) {
    list.addEventListener('scroll', () => this.follow(list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX));
    new ResizeObserver(() => this.keepUp()).observe(list);
  }

  clear(): void {
    this.list.replaceChildren();
    for (const map of [this.segments, this.tools, this.waiting]) map.clear();
    this.lastAgent = undefined;
    this.follow(true);
  }

  toEnd(): void {
    this.follow(true);
    this.keepUp();
  }

  /** Sets the words of a segment. The streams of the agent are over with `final`, those of the caller are replaced until then. */
  say(who: 'user' | 'agent', segmentId: string, said: string, final: boolean): void {
    const words = said.trim().slice(0, MAX_CHARS);
    let entry = this.segments.get(segmentId);
    if (!entry) {
      if (!words) return;
      entry = this.add(`said ${who}`);
      entry.dataset['segment'] = segmentId;
      const bubble = node('p', '');
      bubble.append(node('span', 'visually-hidden', who === 'user' ? 'You: ' : 'Agent: '), node('span', 'words'));
      entry.append(bubble);
      this.segments.set(segmentId, entry);
    }
    const span = entry.querySelector('.words');
    if (span && words) span.textContent = words;
    entry.classList.toggle('interim', !final);
    if (who === 'agent') {
      this.lastAgent = entry;
      const metrics = this.waiting.get(segmentId);
      if (metrics) this.attach(entry, metrics);
      if (final && words) this.handlers.announce(`Agent: ${words}`);
    }
    this.keepUp();
  }

  typed(words: string): void {
    this.toEnd();
    this.say('user', `typed_${Date.now()}_${this.segments.size}`, words, true);
  }

  event(event: AgentEvent): void {
    switch (event.type) {
      case 'turn_metrics': {
        const entry = this.segments.get(event.segment_id);
        if (entry) this.attach(entry, event);
        else this.wait(event);
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
    this.keepUp();
  }

  private wait(metrics: TurnMetrics): void {
    this.waiting.set(metrics.segment_id, metrics);
    const oldest = this.waiting.keys().next();
    if (this.waiting.size > MAX_WAITING && !oldest.done) this.waiting.delete(oldest.value);
  }

  private attach(entry: HTMLElement, metrics: TurnMetrics): void {
    this.waiting.delete(metrics.segment_id);
    entry.querySelector('.waterfall')?.remove();
    const figure = renderWaterfall(metrics);
    if (!figure) return;
    figure.open = this.waterfallsOpen;
    figure.querySelector('summary')?.addEventListener('click', () => {
      // the click comes before the change
      this.waterfallsOpen = !figure.open;
    });
    figure.addEventListener('toggle', () => this.keepUp());
    entry.append(figure);
  }

  private toolStarted(event: ToolStarted): void {
    const entry = this.add('tool running');
    const box = document.createElement('details');
    const summary = document.createElement('summary');
    summary.append(node('span', 'kind', 'Tool'), node('code', '', event.name), node('span', 'tool-state', 'running …'));
    const input = node('pre', 'input', pretty(event.arguments));
    box.append(summary, node('p', 'part', 'Arguments'), input);
    entry.append(box);
    this.tools.set(event.call_id, entry);
    this.handlers.announce(`Tool ${event.name} is running`);
  }

  private toolEnded(event: ToolEnded): void {
    const entry = this.tools.get(event.call_id);
    if (!entry) return;
    this.tools.delete(event.call_id);
    entry.classList.remove('running');
    entry.classList.toggle('failed', event.is_error);
    const state = entry.querySelector('.tool-state');
    if (state) state.textContent = `${event.is_error ? 'failed' : 'done'} in ${formatMs(event.duration_ms)}`;
    entry.querySelector('details')?.append(node('p', 'part', event.is_error ? 'Error' : 'Result'), node('pre', 'output', pretty(event.output)));
    if (event.is_error) this.handlers.announce(`Tool ${event.name} failed`);
  }

  private knowledge(passages: Passage[]): void {
    const entry = this.add('knowledge');
    const box = document.createElement('details');
    const summary = document.createElement('summary');
    const sources = [...new Set(passages.map((passage) => passage.source))];
    summary.append(node('span', 'kind', 'Knowledge'), node('span', 'source', sources[0] ?? ''));
    if (sources.length > 1) summary.append(node('span', 'more', `and ${sources.length - 1} more`));
    box.append(summary);
    for (const passage of passages) {
      const quote = node('blockquote', '', passage.text.slice(0, MAX_CHARS));
      const cite = node('cite', '', named(passage));
      quote.append(cite);
      void open(cite, passage);
      box.append(quote);
    }
    entry.append(box);
  }

  private add(className: string): HTMLElement {
    if (this.list.childElementCount === 0) this.handlers.first();
    const entry = node('li', className);
    this.list.append(entry);
    while (this.list.childElementCount > MAX_ENTRIES) {
      const oldest = this.list.firstElementChild as HTMLElement;
      this.segments.delete(oldest.dataset['segment'] ?? '');
      for (const [id, tool] of this.tools) if (tool === oldest) this.tools.delete(id);
      oldest.remove();
    }
    return entry;
  }

  private follow(following: boolean): void {
    this.following = following;
    this.handlers.follows(following);
  }

  private keepUp(): void {
    if (this.following) this.list.scrollTop = this.list.scrollHeight;
    else this.follow(this.list.scrollHeight - this.list.clientHeight < NEAR_END_PX);
  }
}

/** As a person would say where it stands. */
export function named({ source, page }: Passage): string {
  if (!page) return source;
  return `${source}, ${/^\d+$/.test(page) ? `page ${page}` : page}`;
}

/** The document's address; a PDF opens at the page. */
export function address({ source, page }: Passage): string {
  const at = `api/playground/document?source=${encodeURIComponent(source)}`;
  return /\.pdf$/i.test(source) && /^\d+$/.test(page) ? `${at}#page=${page}` : at;
}

/** Makes a link of a source that the server has the document of: a database's or a service's have none. */
async function open(cite: HTMLElement, passage: Passage): Promise<void> {
  const there = await fetch(address(passage), { method: 'HEAD' }).catch(() => undefined);
  if (!there?.ok) return;
  const link = node('a', '', named(passage)) as HTMLAnchorElement;
  link.href = address(passage);
  link.target = '_blank';
  link.rel = 'noopener';
  cite.replaceChildren(link);
}

function node(tag: string, className: string, words = ''): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = words;
  return element;
}

/** JSON laid out for reading; anything else as it is. */
export function pretty(text: string): string {
  const cut = text.slice(0, MAX_CHARS);
  try {
    return JSON.stringify(JSON.parse(cut), null, 2);
  } catch {
    return cut;
  }
}
