// The agent's voice and state as a picture: two rings that breathe, one for each voice.

export type OrbState = 'off' | 'initializing' | 'idle' | 'listening' | 'thinking' | 'speaking';

const POINTS = 96;

export class Orb {
  private state: OrbState = 'off';
  private agent = 0;
  private user = 0;
  private phase = 0;
  private frame = 0;
  private last = 0;
  private readonly still = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly levels: () => { agent: number; user: number },
  ) {
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    this.resize();
  }

  setState(state: OrbState): void {
    this.state = state;
    this.canvas.dataset['state'] = state;
    if (state === 'off') {
      cancelAnimationFrame(this.frame);
      this.frame = 0;
      this.agent = 0;
      this.user = 0;
      this.draw();
    } else if (this.frame === 0) {
      this.last = performance.now();
      this.frame = requestAnimationFrame((now) => this.step(now));
    }
  }

  private step(now: number): void {
    const seconds = Math.min((now - this.last) / 1000, 0.1);
    this.last = now;
    const { agent, user } = this.levels();
    // fast up, slow down: the eye reads it as a voice
    this.agent += (agent - this.agent) * (agent > this.agent ? 0.5 : 0.12);
    this.user += (user - this.user) * (user > this.user ? 0.5 : 0.12);
    const speed = this.state === 'thinking' ? 2.4 : 0.7;
    if (!this.still.matches) this.phase += seconds * speed;
    this.draw();
    this.frame = requestAnimationFrame((next) => this.step(next));
  }

  private resize(): void {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.draw();
  }

  private draw(): void {
    const context = this.canvas.getContext('2d');
    if (!context) return;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    const agentColor = style.getPropertyValue('--agent').trim() || '#e08b2c';
    const userColor = style.getPropertyValue('--user').trim() || '#2a9d8f';
    const size = Math.min(width, height);
    const quiet = this.state === 'off' ? 0.55 : 1;
    context.save();
    context.translate(width / 2, height / 2);
    const glow = context.createRadialGradient(0, 0, size * 0.12, 0, 0, size * 0.5);
    glow.addColorStop(0, agentColor);
    // the same colour without strength: `transparent` is black, and would leave a grey halo
    glow.addColorStop(1, `${agentColor}00`);
    context.globalAlpha = quiet * (0.1 + 0.25 * this.agent);
    context.fillStyle = glow;
    context.fillRect(-width / 2, -height / 2, width, height);
    for (let layer = 0; layer < 3; layer += 1) {
      this.ring(context, size, userColor, size * (0.37 + 0.012 * layer), this.user, layer, -1, quiet);
      this.ring(context, size, agentColor, size * (0.27 + 0.012 * layer), this.agent, layer, 1, quiet);
    }
    context.restore();
  }

  private ring(context: CanvasRenderingContext2D, size: number, color: string, radius: number, level: number, layer: number, turn: number, quiet: number): void {
    const depth = size * (0.004 + 0.06 * level) * (1 - layer * 0.22);
    const thinking = this.state === 'thinking' && turn > 0 ? size * 0.012 : 0;
    context.beginPath();
    for (let index = 0; index <= POINTS; index += 1) {
      const angle = (index / POINTS) * Math.PI * 2;
      const wave =
        Math.sin(angle * 3 + turn * this.phase * 1.7 + layer) + 0.6 * Math.sin(angle * 5 - turn * this.phase * 2.3 + layer * 2) + 0.4 * Math.sin(angle * 8 + this.phase * 3.1);
      const r = radius + depth * wave + thinking * Math.sin(angle * 2 + this.phase * 4);
      const x = Math.cos(angle) * r;
      const y = Math.sin(angle) * r;
      if (index === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
    context.closePath();
    context.globalAlpha = quiet * (layer === 0 ? 0.95 : 0.4 - 0.1 * layer);
    context.lineWidth = Math.max(1, size * (layer === 0 ? 0.009 : 0.005));
    context.strokeStyle = color;
    context.stroke();
  }
}
