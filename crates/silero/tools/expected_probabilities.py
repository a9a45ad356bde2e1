#!/usr/bin/env python3
"""Probabilities of onnxruntime for the recordings in tests/data, which tests/equality.rs compares ours with.

    pip install onnxruntime numpy
    python3 tools/expected_probabilities.py silero_vad/data/silero_vad.onnx tests/data/*.wav

Writes NAME.txt next to NAME.wav (16 kHz, mono, 16 bit), one probability a line for every whole window of 512 samples, and
prints how long onnxruntime takes per window (one thread) to compare with `cargo bench -p antiphon-silero`.
"""

import sys
import time
import wave

import numpy as np
import onnxruntime


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(vad, samples):
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
    rate, out, spent = np.array(16000, np.int64), [], []
    for start in range(0, len(samples) - 511, 512):
        window = samples[start : start + 512]
        feed = {"input": np.concatenate([context, window])[None, :], "state": state, "sr": rate}
        began = time.process_time_ns()
        probability, state = vad.run(None, feed)
        spent.append(time.process_time_ns() - began)
        context = window[-64:]
        out.append(float(probability[0, 0]))
    return out, spent


def main(model, *files):
    vad, spent = session(model), []
    for file in files:
        with wave.open(file) as wav:
            assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (16000, 1, 2), file
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(np.float32) / 32768
        out, times = run(vad, samples)
        spent += times
        with open(file.removesuffix(".wav") + ".txt", "w") as text:
            text.writelines(f"{probability:.7f}\n" for probability in out)
    print(f"onnxruntime {onnxruntime.__version__}: median {np.median(spent) / 1000:.1f} us per window")


main(*sys.argv[1:])
