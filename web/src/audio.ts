// Loudness of a track, for the meter and the picture.

export class LevelMeter {
  private readonly context = new AudioContext();
  private readonly analyser: AnalyserNode;
  private readonly source: MediaStreamAudioSourceNode;
  private readonly samples: Uint8Array<ArrayBuffer>;

  constructor(track: MediaStreamTrack) {
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 512;
    this.samples = new Uint8Array(this.analyser.fftSize);
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.analyser);
    void this.context.resume();
  }

  /** 0 (silence) to 1 (loud speech), roughly as the ear hears it. */
  level(): number {
    this.analyser.getByteTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) {
      const value = (sample - 128) / 128;
      sum += value * value;
    }
    const decibels = 10 * Math.log10(sum / this.samples.length + 1e-10);
    return Math.min(Math.max((decibels + 55) / 45, 0), 1);
  }

  close(): void {
    this.source.disconnect();
    void this.context.close();
  }
}
