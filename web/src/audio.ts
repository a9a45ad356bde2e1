// Loudness of a track, for the meter and the picture.

/** A quiet room; anything below is silence. */
const FLOOR_DB = -55;
/** Loud speech close to the microphone. */
const LOUD_DB = -10;

export class LevelMeter {
  private readonly context = new AudioContext();
  private readonly analyser: AnalyserNode;
  private readonly source: MediaStreamAudioSourceNode;
  private readonly samples: Float32Array<ArrayBuffer>;

  constructor(track: MediaStreamTrack) {
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.analyser);
    void this.context.resume();
  }

  /** 0 (silence) to 1 (loud speech), roughly as the ear hears it. */
  level(): number {
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.samples.length + 1e-10);
    return Math.min(Math.max((decibels - FLOOR_DB) / (LOUD_DB - FLOOR_DB), 0), 1);
  }

  close(): void {
    this.source.disconnect();
    void this.context.close();
  }
}
