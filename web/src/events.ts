// What the agent tells the page: JSON text streams on the topic `antiphon.events` (docs/playground.md). Everything that
// arrives is checked before it is used; unknown types and broken JSON are ignored.

export const EVENTS_TOPIC = 'antiphon.events';
export const TRANSCRIPTION_TOPIC = 'lk.transcription';
export const CHAT_TOPIC = 'lk.chat';

export interface TurnMetrics {
  type: 'turn_metrics';
  segment_id: string;
  end_of_turn_delay_ms?: number;
  transcription_delay_ms?: number;
  retrieval_ms?: number;
  llm_ttft_ms?: number;
  llm_ttfs_ms?: number;
  tts_ttfb_ms?: number;
  e2e_latency_ms?: number;
  preemptive: boolean;
  tool_steps: number;
}

export interface ToolStarted {
  type: 'tool_started';
  call_id: string;
  name: string;
  arguments: string;
}

export interface ToolEnded {
  type: 'tool_ended';
  call_id: string;
  name: string;
  output: string;
  is_error: boolean;
  duration_ms: number;
}

export interface KnowledgeUsed {
  type: 'knowledge_used';
  passages: Passage[];
}

export interface Passage {
  source: string;
  /** As the document itself numbers or names it; may be empty. */
  page: string;
  score: number;
  text: string;
}

export interface AgentError {
  type: 'error';
  component: string;
  message: string;
  recoverable: boolean;
}

export interface Simple {
  type: 'interrupted' | 'agent_false_interruption' | 'closed';
}

export type AgentEvent = TurnMetrics | ToolStarted | ToolEnded | KnowledgeUsed | AgentError | Simple;

type Fields = Record<string, unknown>;

/** A turn that takes longer than an hour is a broken clock, not a turn. */
const MAX_DURATION_MS = 3_600_000;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isDuration = (value: unknown): value is number => isNumber(value) && value >= 0 && value <= MAX_DURATION_MS;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export function parseEvent(json: string): AgentEvent | undefined {
  let fields: Fields;
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null) return undefined;
    fields = value as Fields;
  } catch {
    return undefined;
  }
  switch (fields['type']) {
    case 'turn_metrics':
      return metrics(fields);
    case 'tool_started':
      return { type: 'tool_started', call_id: text(fields['call_id']), name: text(fields['name']), arguments: text(fields['arguments']) };
    case 'tool_ended':
      return {
        type: 'tool_ended',
        call_id: text(fields['call_id']),
        name: text(fields['name']),
        output: text(fields['output']),
        is_error: fields['is_error'] === true,
        duration_ms: isDuration(fields['duration_ms']) ? fields['duration_ms'] : 0,
      };
    case 'knowledge_used':
      return { type: 'knowledge_used', passages: passages(fields['passages']) };
    case 'error':
      return { type: 'error', component: text(fields['component']), message: text(fields['message']), recoverable: fields['recoverable'] !== false };
    case 'interrupted':
    case 'agent_false_interruption':
    case 'closed':
      return { type: fields['type'] };
    default:
      return undefined;
  }
}

function metrics(fields: Fields): TurnMetrics {
  const event: TurnMetrics = {
    type: 'turn_metrics',
    segment_id: text(fields['segment_id']),
    preemptive: fields['preemptive'] === true,
    tool_steps: isNumber(fields['tool_steps']) ? fields['tool_steps'] : 0,
  };
  const durations = [
    'end_of_turn_delay_ms',
    'transcription_delay_ms',
    'retrieval_ms',
    'llm_ttft_ms',
    'llm_ttfs_ms',
    'tts_ttfb_ms',
    'e2e_latency_ms',
  ] as const;
  for (const name of durations) {
    const value = fields[name];
    if (isDuration(value)) event[name] = value;
  }
  return event;
}

function passages(value: unknown): KnowledgeUsed['passages'] {
  if (!Array.isArray(value)) return [];
  return value.map((item: unknown) => {
    const fields = (typeof item === 'object' && item !== null ? item : {}) as Fields;
    return { source: text(fields['source']), page: text(fields['page']), score: isNumber(fields['score']) ? fields['score'] : 0, text: text(fields['text']) };
  });
}
