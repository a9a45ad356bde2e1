import './style.css';

import { LevelMeter } from './audio';
import { Call } from './call';
import { Orb, type OrbState } from './orb';
import { Transcript } from './transcript';
import { Troubles } from './troubles';

const get = <T extends HTMLElement>(id: string): T => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is not on the page`);
  return element as T;
};

const callButton = get<HTMLButtonElement>('call');
const muteButton = get<HTMLButtonElement>('mute');
const microphoneSelect = get<HTMLSelectElement>('microphone');
const levelMeter = get('level');
const stateText = get('agent-state');
const alertBox = get('alert-box');
const alertText = get('alert');
const messageInput = get<HTMLInputElement>('message');
const announcer = get('announcer');
const transcript = new Transcript(get<HTMLOListElement>('transcript'), {
  first: () => (get('empty').hidden = true),
  follows: (following) => (get('latest').hidden = following),
  announce,
});

/** Parts of the agent that do not work right now. */
let broken: ReadonlySet<string> = new Set();
const troubles = new Troubles(get('troubles'), (parts) => {
  broken = parts;
  showState();
});

/** So many announcements stay in the page for a screen reader to find. */
const MAX_ANNOUNCEMENTS = 3;

const STATE_WORDS: Record<string, string> = {
  off: 'Not in a call',
  connecting: 'Connecting …',
  reconnecting: 'Reconnecting …',
  initializing: 'Calling the agent …',
  idle: 'Ready',
  listening: 'Listening',
  thinking: 'Thinking',
  speaking: 'Speaking',
};

let call: Call | undefined;
let muted = false;
let userMeter: LevelMeter | undefined;
let agentMeter: LevelMeter | undefined;
const orb = new Orb(get<HTMLCanvasElement>('orb'), () => ({ agent: agentMeter?.level() ?? 0, user: muted ? 0 : (userMeter?.level() ?? 0) }));

/** “Listening” would be a lie of an agent that hears nothing. */
function showState(): void {
  const state = document.body.dataset['state'] ?? 'off';
  const deaf = state === 'listening' && broken.has('stt');
  const mute = (state === 'listening' || state === 'speaking') && broken.has('tts');
  stateText.textContent = deaf ? 'Cannot hear you' : mute ? 'Cannot speak' : (STATE_WORDS[state] ?? state);
}

function setState(state: string): void {
  document.body.dataset['state'] = state;
  showState();
  const orbStates: string[] = ['initializing', 'idle', 'listening', 'thinking', 'speaking', 'off'];
  orb.setState((orbStates.includes(state) ? state : 'initializing') as OrbState);
}

function trouble(message: string): void {
  alertText.textContent = message;
  alertBox.hidden = message === '';
}

/** Reads something out, once: what changes all the time on the page (interim words, states) is not live. */
function announce(words: string): void {
  const line = document.createElement('p');
  line.textContent = words;
  announcer.append(line);
  while (announcer.childElementCount > MAX_ANNOUNCEMENTS) announcer.firstElementChild?.remove();
}

/** While a call is being made the button does nothing. It is not `disabled`, which would take the focus away. */
function busy(value: boolean): void {
  callButton.setAttribute('aria-disabled', String(value));
}

async function start(): Promise<void> {
  trouble('');
  troubles.clear();
  transcript.clear();
  busy(true);
  setState('connecting');
  document.body.classList.add('in-call');
  const next = new Call({
    state: setState,
    transcript: (who, segment, words, final) => {
      transcript.say(who, segment, words, final);
      if (words) troubles.works(who === 'user' ? 'stt' : 'playout');
    },
    event: (event) => {
      transcript.event(event);
      if (event.type === 'error') troubles.tell(event);
      if (event.type === 'turn_metrics') {
        // what was measured has worked
        if (event.llm_ttft_ms !== undefined) troubles.works('llm');
        if (event.tts_ttfb_ms !== undefined) troubles.works('tts');
      }
      if (event.type === 'tool_ended' && !event.is_error) troubles.works('tool');
      if (event.type === 'knowledge_used') troubles.works('knowledge');
    },
    agentTrack: (track) => {
      agentMeter?.close();
      agentMeter = new LevelMeter(track);
    },
    microphone: (track) => {
      userMeter?.close();
      userMeter = track ? new LevelMeter(track) : undefined;
      void listMicrophones();
    },
    ended: (reason) => {
      if (call === next) finish(reason);
    },
    trouble,
  });
  call = next;
  try {
    await next.start(microphoneSelect.value);
    if (call !== next) return; // it ended before it had begun
    muteButton.hidden = false;
    label(callButton, 'End call');
    announce('You are in the call');
  } catch (error) {
    finish(error instanceof Error ? error.message : String(error));
    await next.end().catch(() => undefined);
  } finally {
    busy(false);
  }
}

function finish(reason: string): void {
  if (!muteButton.hidden) announce('The call has ended');
  call = undefined;
  userMeter?.close();
  agentMeter?.close();
  userMeter = undefined;
  agentMeter = undefined;
  setMuted(false);
  document.querySelectorAll('audio[data-participant]').forEach((element) => element.remove());
  document.body.classList.remove('in-call');
  muteButton.hidden = true;
  label(callButton, 'Start call');
  setState('off');
  if (reason) trouble(reason);
}

function label(button: HTMLButtonElement, words: string): void {
  const span = button.querySelector('span');
  if (span) span.textContent = words;
}

function setMuted(value: boolean): void {
  muted = value;
  // the name stays and the state changes: “Mute microphone, pressed”
  muteButton.setAttribute('aria-pressed', String(value));
  muteButton.querySelector('use')?.setAttribute('href', value ? '#mic-off' : '#mic');
  document.body.classList.toggle('muted', value);
}

async function listMicrophones(): Promise<void> {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  const microphones = devices.filter((device) => device.kind === 'audioinput');
  const chosen = microphoneSelect.value;
  const options = microphones.map((device, index) => new Option(device.label || `Microphone ${index + 1}`, device.deviceId));
  microphoneSelect.replaceChildren(...(options.length > 0 ? options : [new Option('Default microphone', '')]));
  if (microphones.some((device) => device.deviceId === chosen)) microphoneSelect.value = chosen;
}

interface About {
  agent: { name: string };
  providers: { role: string; provider: string; model: string; why: string }[];
  suggestions: string[];
}

async function describe(): Promise<void> {
  const response = await fetch('./api/playground').catch(() => undefined);
  if (!response?.ok) return trouble('This page cannot reach Antiphon. Is it still running?');
  const about = (await response.json()) as About;
  get('agent-name').textContent = about.agent.name;
  get('providers').replaceChildren(
    ...about.providers.map((provider) => {
      const item = document.createElement('li');
      const role = document.createElement('b');
      role.textContent = provider.role;
      item.append(role, ` ${provider.provider.replace(/^(?:https?|wss?):\/\//, '')}`);
      const why = [provider.model, provider.why].filter(Boolean).join(': ');
      item.title = why;
      const spoken = document.createElement('span');
      spoken.className = 'visually-hidden';
      spoken.textContent = why && `, ${why}`;
      item.append(spoken);
      return item;
    }),
  );
  get('suggestions').replaceChildren(
    ...about.suggestions.map((words) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = words;
      button.addEventListener('click', () => void send(words));
      item.append(button);
      return item;
    }),
  );
}

async function send(words: string): Promise<void> {
  if (!call) await start();
  if (!call) return;
  transcript.typed(words);
  await call.type(words).catch((error: unknown) => trouble(`The message was not sent: ${String(error)}`));
}

function tick(): void {
  const percent = Math.round((muted ? 0 : (userMeter?.level() ?? 0)) * 100);
  levelMeter.style.setProperty('--level', `${percent}%`);
  levelMeter.setAttribute('aria-valuenow', String(percent));
}

callButton.addEventListener('click', () => {
  if (callButton.getAttribute('aria-disabled') !== 'true') void (call ? call.end() : start());
});
get('alert-close').addEventListener('click', () => {
  trouble('');
  callButton.focus();
});
get('latest').addEventListener('click', () => transcript.toEnd());
muteButton.addEventListener('click', () => {
  setMuted(!muted);
  call?.setMuted(muted).catch(() => trouble('The microphone could not be switched. You can type instead.'));
});
microphoneSelect.addEventListener('change', () => {
  call?.useMicrophone(microphoneSelect.value).catch(() => trouble('This microphone does not work. Choose another one.'));
});
navigator.mediaDevices?.addEventListener('devicechange', () => void listMicrophones());
get<HTMLFormElement>('compose').addEventListener('submit', (submit) => {
  submit.preventDefault();
  const words = messageInput.value.trim();
  if (!words) return;
  messageInput.value = '';
  void send(words);
});

setState('off');
setInterval(tick, 100);
void listMicrophones();
void describe();
