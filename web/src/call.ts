// One call: the official LiveKit client, joined to a room of its own.

import { DefaultReconnectPolicy, DisconnectReason, type Participant, ParticipantKind, type RemoteTrack, Room, RoomEvent, Track } from 'livekit-client';

import { CHAT_TOPIC, EVENTS_TOPIC, TRANSCRIPTION_TOPIC, type AgentEvent, parseEvent } from './events';

export interface CallHandlers {
  state(state: string): void;
  transcript(who: 'user' | 'agent', segmentId: string, words: string, final: boolean): void;
  event(event: AgentEvent): void;
  agentTrack(track: MediaStreamTrack): void;
  microphone(track: MediaStreamTrack | undefined): void;
  ended(reason: string): void;
  trouble(message: string): void;
}

interface Connection {
  server_url: string;
  participant_token: string;
}

/** No agent after this long: say so instead of leaving the caller alone with silence. */
const AGENT_TIMEOUT_MS = 10_000;
/** Waits between attempts to get a lost connection back; whoever waits longer would rather be told. */
const RECONNECT_DELAYS_MS = [0, 300, 1000, 2000, 3000, 4000];

const UNREACHABLE = 'This page cannot reach Antiphon. Is it still running? Start it again and try once more.';
const LOST = 'The connection was lost. Trying to get it back …';

/** The server tells on this topic why no agent is there (docs/deployment.md). */
const DISPATCH_TOPIC = 'antiphon.dispatch';

function noAgent(payload: Uint8Array): string | undefined {
  try {
    const news: unknown = JSON.parse(new TextDecoder().decode(payload));
    const message = news && typeof news === 'object' && 'message' in news ? news.message : undefined;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

export class Call {
  readonly room = new Room({ adaptiveStream: false, dynacast: false, reconnectPolicy: new DefaultReconnectPolicy(RECONNECT_DELAYS_MS) });
  private agentTimer = 0;
  private ending = false;
  /** The page says that no agent is there. */
  private vacant = false;

  constructor(private readonly handlers: CallHandlers) {
    const { room } = this;
    room.on(RoomEvent.TrackSubscribed, (track, _publication, participant) => this.subscribed(track, participant));
    room.on(RoomEvent.ParticipantConnected, (participant) => this.seen(participant));
    room.on(RoomEvent.ParticipantAttributesChanged, (_changed, participant) => this.seen(participant));
    room.on(RoomEvent.ParticipantDisconnected, (participant) => {
      if (participant.kind !== ParticipantKind.AGENT || this.ending) return;
      this.vacant = true;
      handlers.trouble('The agent has left the call.');
    });
    room.on(RoomEvent.LocalTrackPublished, (publication) => {
      if (publication.source === Track.Source.Microphone) handlers.microphone(publication.track?.mediaStreamTrack);
    });
    room.on(RoomEvent.MediaDevicesError, (error) => handlers.trouble(microphoneTrouble(error)));
    room.on(RoomEvent.SignalReconnecting, () => handlers.state('reconnecting'));
    room.on(RoomEvent.Reconnecting, () => {
      handlers.state('reconnecting');
      handlers.trouble(LOST);
    });
    room.on(RoomEvent.Reconnected, () => {
      handlers.trouble('');
      this.agents().forEach((agent) => this.seen(agent));
    });
    room.on(RoomEvent.Disconnected, (reason) => {
      clearTimeout(this.agentTimer);
      handlers.ended(this.ending ? '' : farewell(reason));
    });
    room.on(RoomEvent.DataReceived, (payload, _participant, _kind, topic) => {
      const message = topic === DISPATCH_TOPIC ? noAgent(payload) : undefined;
      if (!message || this.agents().length > 0) return;
      clearTimeout(this.agentTimer);
      this.vacant = true;
      handlers.trouble(message);
    });
    room.registerTextStreamHandler(TRANSCRIPTION_TOPIC, (reader, sender) => {
      const attributes = reader.info.attributes ?? {};
      const segment = attributes['lk.segment_id'] ?? reader.info.id;
      const who = sender.identity === room.localParticipant.identity ? 'user' : 'agent';
      void this.read(reader, who, segment, attributes['lk.transcription_final'] === 'true');
    });
    room.registerTextStreamHandler(EVENTS_TOPIC, (reader) => {
      void reader.readAll().then((json) => {
        const event = parseEvent(json);
        if (event) handlers.event(event);
      }, ignore);
    });
  }

  async start(microphoneId: string): Promise<void> {
    const connection = await this.ask();
    try {
      await this.room.connect(connection.server_url, connection.participant_token);
    } catch (error) {
      throw new Error(`The call could not be connected (${error instanceof Error ? error.message : String(error)}). Is Antiphon still running?`);
    }
    await this.room.startAudio().catch(ignore);
    this.agentTimer = window.setTimeout(() => {
      if (this.agents().length === 0) this.handlers.trouble('No agent has joined. Is one running? `antiphon doctor` tells what is missing.');
    }, AGENT_TIMEOUT_MS);
    this.agents().forEach((agent) => this.seen(agent));
    try {
      const options = microphoneId ? { deviceId: microphoneId } : undefined;
      await this.room.localParticipant.setMicrophoneEnabled(true, options);
    } catch (error) {
      this.handlers.trouble(microphoneTrouble(error));
    }
  }

  /** Where to join, and with which token. */
  private async ask(): Promise<Connection> {
    const response = await fetch('./api/playground/connect', { method: 'POST' }).catch(() => undefined);
    if (!response) throw new Error(UNREACHABLE);
    if (response.status === 429) {
      const seconds = Number(response.headers.get('retry-after'));
      throw new Error(`Too many calls in a short time. Wait ${seconds > 1 ? `${seconds} seconds` : 'a moment'} and try again.`);
    }
    if (!response.ok) throw new Error(`The server refused the call: ${(await response.text().catch(() => '')).slice(0, 300) || response.status}`);
    return (await response.json()) as Connection;
  }

  async end(): Promise<void> {
    this.ending = true;
    await this.room.disconnect();
  }

  async setMuted(muted: boolean): Promise<void> {
    await this.room.localParticipant.setMicrophoneEnabled(!muted);
  }

  async useMicrophone(deviceId: string): Promise<void> {
    await this.room.switchActiveDevice('audioinput', deviceId);
    this.handlers.microphone(this.room.localParticipant.getTrackPublication(Track.Source.Microphone)?.track?.mediaStreamTrack);
  }

  async type(words: string): Promise<void> {
    await this.room.localParticipant.sendText(words, { topic: CHAT_TOPIC });
  }

  private agents(): Participant[] {
    return [...this.room.remoteParticipants.values()].filter((participant) => participant.kind === ParticipantKind.AGENT);
  }

  private seen(participant: Participant): void {
    if (participant.kind !== ParticipantKind.AGENT) return;
    clearTimeout(this.agentTimer);
    if (this.vacant) this.handlers.trouble('');
    this.vacant = false;
    this.handlers.state(participant.attributes['lk.agent.state'] ?? 'initializing');
  }

  private subscribed(track: RemoteTrack, participant: Participant): void {
    if (track.kind !== Track.Kind.Audio) return;
    const element = track.attach();
    element.dataset['participant'] = participant.identity;
    element.hidden = true;
    document.body.append(element);
    if (participant.kind === ParticipantKind.AGENT) this.handlers.agentTrack(track.mediaStreamTrack);
  }

  private async read(reader: AsyncIterable<string>, who: 'user' | 'agent', segment: string, final: boolean): Promise<void> {
    let words = '';
    try {
      for await (const delta of reader) {
        words += delta;
        this.handlers.transcript(who, segment, words, who === 'agent' ? false : final);
      }
    } catch {
      // the sender left in mid-stream: what was heard stays on the page
    }
    this.handlers.transcript(who, segment, words, who === 'agent' || final);
  }
}

/** Why the call is over, for its caller. */
function farewell(reason: DisconnectReason | undefined): string {
  switch (reason) {
    case DisconnectReason.SERVER_SHUTDOWN:
      return 'The server was stopped, and the call with it.';
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'The call was ended by the server.';
    case DisconnectReason.DUPLICATE_IDENTITY:
      return 'The call goes on in another window.';
    default:
      return 'The connection was lost and did not come back. Is Antiphon still running?';
  }
}

function microphoneTrouble(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  if (name === 'NotAllowedError') return 'The browser does not allow the microphone. Allow it in the address bar, or type instead.';
  if (name === 'NotFoundError') return 'No microphone was found. Connect one, or type instead.';
  if (name === 'NotReadableError') return 'Another program uses the microphone. Close it, or type instead.';
  return `The microphone does not work${error instanceof Error ? `: ${error.message}` : ''}. You can type instead.`;
}

function ignore(): void {
  // nothing to tell: the page goes on as it is
}
