// Starts the built programs the way a user does, and stops them again.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const ARTIFACTS = process.env.ANTIPHON_ARTIFACTS ?? join(ROOT, 'artifacts');
mkdirSync(ARTIFACTS, { recursive: true });
/** Where scripts/ keep what they have fetched and built. */
export const CACHE = process.env.ANTIPHON_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'antiphon');

const READY_MS = 60_000;
const STOP_MS = 15_000;
/** A newcomer's environment has none of these; a developer's may. */
const SECRETS = /^(DEEPGRAM|OPENAI|LIVEKIT)/;

export function binary(name) {
  const folder = process.env.ANTIPHON_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug');
  const path = join(folder, name);
  if (!existsSync(path)) throw new Error(`${path} is not built: cargo build --workspace --bins`);
  return path;
}

/** A started program: the address that it printed first, and everything it printed. */
class Program {
  output = '';

  constructor(child, folder) {
    this.child = child;
    this.folder = folder;
    this.over = new Promise((done) => child.once('exit', done));
  }

  /** By SIGTERM, as a service manager would; by SIGKILL when `kind` says so or it does not obey. */
  async stop(kind = 'SIGTERM') {
    this.child.kill(kind);
    const impatience = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    await this.over;
    clearTimeout(impatience);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** `furnish` puts files into the program's folder before. `ready`: what it prints when it is, its address if it says one. */
async function start(name, args, { env = {}, path = binary(name), ready = /(http:\/\/[\w.:[\]-]+)/, furnish = () => {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'antiphon-browser-'));
  furnish(folder);
  const clean = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !SECRETS.test(variable)));
  const child = spawn(path, args, { cwd: folder, env: { ...clean, ANTIPHON_MODELS: join(folder, 'no-models'), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const program = new Program(child, folder);
  await new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`${name} did not get ready:\n${program.output}`)), READY_MS);
    const read = (text) => {
      program.output += text;
      const found = ready.exec(program.output);
      if (!found || program.url !== undefined) return;
      program.url = found[1] ?? '';
      clearTimeout(late);
      done();
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', read);
    child.once('exit', (code) => failed(new Error(`${name} ended with ${code}:\n${program.output}`)));
  });
  return program;
}

/** Room server, agent and page in one process, on free ports. */
export const startAntiphon = (env, furnish) => start('antiphon', ['dev', '--port', '0', '--udp-port', '0'], { env, furnish });

/** The room server alone, with the development key. */
export const startServer = () => start('antiphon', ['serve', '--dev', '--port', '0', '--udp-port', '0']);

/** LiveKit's own server, as scripts/go-program.sh has built it; nothing if it has not. */
export async function startLiveKit() {
  const folder = join(CACHE, 'bin');
  const built = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('livekit-server-v') && !name.endsWith('.log')) : [];
  if (!built.length) return undefined;
  const [port, tcp, udp] = await Promise.all([freePort(), freePort(), freePort()]);
  const rtc = `rtc: {tcp_port: ${tcp}, udp_port: ${udp}, node_ip: 127.0.0.1, use_external_ip: false}`;
  const configuration = `port: ${port}\nbind_addresses: ['127.0.0.1']\n${rtc}\nkeys: {devkey: secret}\n`;
  const path = join(folder, built.sort().at(-1));
  const server = await start('livekit-server', ['--dev', '--config-body', configuration], { path, ready: /starting LiveKit server/ });
  server.url = `http://127.0.0.1:${port}`;
  return server;
}

/** For a server with the development key, made as a developer's own server makes them; `grants`: what they may beside joining. */
export function token(identity, grants) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: 'devkey', sub: identity, name: identity, exp: Math.floor(Date.now() / 1000) + 600, video: { roomJoin: true, ...grants } };
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', 'secret').update(text).digest('base64url')}`;
}

function freePort() {
  return new Promise((found) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

/** Deepgram and OpenAI on loopback; `script(…)` tells it what it hears and says. */
export async function startSimulator(script) {
  const simulator = await start('antiphon-simulator', []);
  simulator.script = async (body) => {
    const response = await fetch(`${simulator.url}/_simulator/script`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`the simulator refused the script: ${await response.text()}`);
  };
  await simulator.script(script);
  simulator.env = {
    DEEPGRAM_API_KEY: 'dg-test',
    DEEPGRAM_BASE_URL: simulator.url,
    OPENAI_API_KEY: 'sk-test',
    OPENAI_BASE_URL: `${simulator.url}/v1`,
  };
  return simulator;
}
