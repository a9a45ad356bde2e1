// What does not work right now: one line for each part, in plain words, with what to do. A line goes when its part works again.

import type { AgentError } from './events';

export interface Explained {
  /** What has happened, as a sentence. */
  what: string;
  /** What mends it; may be empty. */
  fix: string;
  /** What the provider or the system said of it; may be empty. */
  quote: string;
}

/** Parts in the order in which a call needs them, and what the caller notices when they fail. */
const PARTS: Record<string, string> = {
  stt: 'The agent cannot hear you',
  llm: 'The agent cannot think of an answer',
  tts: 'The agent cannot speak',
  tool: 'A tool failed',
  knowledge: 'Documents could not be searched',
  playout: 'The agent’s voice cannot be played',
  session: 'The agent could not do what was asked of it',
};

/** So that one part that fails every second does not move the page. */
const MAX_CHARS = 600;

/** Messages read “what; fix (details: quote)”; what follows the first part may be missing. */
export function explain(message: string): Explained {
  const text = message.trim().slice(0, MAX_CHARS);
  const said = / \(details: ([^]*)\)$/.exec(text);
  const rest = said ? text.slice(0, said.index) : text;
  const at = rest.indexOf('; ');
  const [what, fix] = at < 0 ? [rest, ''] : [rest.slice(0, at), rest.slice(at + 2)];
  return { what: named(what), fix, quote: said?.[1] ?? '' };
}

/** Providers go by their ids in messages. */
function named(text: string): string {
  return text.replace(/\bdeepgram\b/g, 'Deepgram').replace(/\bopenai\b/g, 'OpenAI');
}

export class Troubles {
  private readonly lines = new Map<string, { item: HTMLElement; message: string; times: number }>();

  constructor(
    private readonly list: HTMLElement,
    private readonly changed: (parts: ReadonlySet<string>) => void,
  ) {}

  tell(error: AgentError): void {
    const part = error.component in PARTS ? error.component : 'session';
    const known = this.lines.get(part);
    if (known?.message === error.message) {
      known.times += 1;
      const times = known.item.querySelector('.times');
      if (times) times.textContent = `${known.times} times`;
      return;
    }
    known?.item.remove();
    const item = this.render(part, explain(error.message), error.recoverable);
    const order = Object.keys(PARTS);
    const after = [...this.list.children].find((other) => order.indexOf((other as HTMLElement).dataset['part'] ?? '') > order.indexOf(part));
    this.list.insertBefore(item, after ?? null);
    this.lines.set(part, { item, message: error.message, times: 1 });
    this.update();
  }

  /** This part has just worked. */
  works(part: string): void {
    const line = this.lines.get(part);
    if (!line) return;
    line.item.remove();
    this.lines.delete(part);
    this.update();
  }

  clear(): void {
    this.list.replaceChildren();
    this.lines.clear();
    this.update();
  }

  private update(): void {
    this.list.hidden = this.lines.size === 0;
    this.changed(new Set(this.lines.keys()));
  }

  private render(part: string, { what, fix, quote }: Explained, recoverable: boolean): HTMLElement {
    const item = node('li', '');
    item.dataset['part'] = part;
    const head = node('p', 'head', PARTS[part]);
    head.setAttribute('role', 'alert');
    head.append(': ', node('span', 'what', what), ' ', node('span', 'times'));
    item.append(head);
    if (fix) item.append(node('p', 'fix', `${fix[0]?.toUpperCase() ?? ''}${fix.slice(1)}.`));
    if (!recoverable && !fix) item.append(node('p', 'fix', '`antiphon doctor --online` tries every provider and says what to do.'));
    if (quote) {
      const box = document.createElement('details');
      box.append(node('summary', '', 'Details'), node('p', 'quote', quote));
      item.append(box);
    }
    return item;
  }
}

function node(tag: string, className: string, words = ''): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = words;
  return element;
}
