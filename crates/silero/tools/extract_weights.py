#!/usr/bin/env python3
"""Take the 16 kHz network out of silero_vad.onnx and write it in the order src/network.rs reads it.

    pip install onnx numpy && pip download silero-vad==6.2.3 --no-deps && unzip silero_vad-6.2.3-py3-none-any.whl
    python3 tools/extract_weights.py silero_vad/data/silero_vad.onnx weights/silero_vad_v6_16k.f32

The safetensors file in the same wheel is another network, do not use it.

The output is little-endian f32 without a header; its length is checked at compile time. A matrix of K inputs and O outputs is
cut into panels of some outputs, each panel K rows of those, so that the forward pass reads memory in a straight line.
"""

import sys

import numpy as np
import onnx
from onnx import numpy_helper

# Outputs computed together: as many as fill eight AVX2 registers with the columns of the layer.
CONV_PANELS, LSTM_PANEL = [16, 32, 64, 64], 64


def tensors(graph, found):
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and node.output[0].startswith("If_0_then_branch__Inline_0__"):
                name = node.output[0].removeprefix("If_0_then_branch__Inline_0__")
                found[name] = numpy_helper.to_array(attribute.t).astype(np.float32)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                tensors(attribute.g, found)
    return found


def panels(matrix, width):
    """K x O row-major to panels."""
    k, o = matrix.shape
    assert o % width == 0
    return matrix.reshape(k, o // width, width).transpose(1, 0, 2).reshape(-1)


def check_stft_is_a_hann_dft(basis):
    """The forward pass replaces this convolution by an FFT."""
    n = np.arange(256)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 256)
    angle = 2 * np.pi * np.outer(np.arange(129), n) / 256
    wanted = np.concatenate([np.cos(angle) * window, -np.sin(angle) * window])
    worst = np.abs(basis[:, 0, :] - wanted).max()
    assert worst < 1e-6, f"the STFT basis is not a Hann-windowed DFT: off by {worst}"
    print(f"STFT basis equals a Hann-windowed DFT within {worst:.1e}")


def main(source, target):
    found = tensors(onnx.load(source).graph, {})
    check_stft_is_a_hann_dft(found["stft.forward_basis_buffer"])
    parts = []
    for layer in range(4):
        weight = found[f"encoder.{layer}.reparam_conv.weight"]  # O, I, tap
        # The last convolution sees one column: its outer taps only ever meet padding. The third sees two columns and makes
        # one: its first tap only ever meets padding.
        taps = {2: [1, 2], 3: [1]}.get(layer, [0, 1, 2])
        for tap in taps:
            parts.append(panels(weight[:, :, tap].T, CONV_PANELS[layer]))
        parts.append(found[f"encoder.{layer}.reparam_conv.bias"])
    # Input and state side by side: one matrix of 256 inputs. Gates i, f, g, o.
    both = np.concatenate([found["decoder.rnn.weight_ih"], found["decoder.rnn.weight_hh"]], axis=1)
    parts.append(panels(both.T, LSTM_PANEL))
    parts.append(found["decoder.rnn.bias_ih"] + found["decoder.rnn.bias_hh"])
    parts.append(found["decoder.decoder.2.weight"].reshape(-1))
    parts.append(found["decoder.decoder.2.bias"])
    flat = np.concatenate([part.reshape(-1) for part in parts]).astype("<f4")
    flat.tofile(target)
    print(f"{flat.size} numbers, {flat.nbytes} bytes")


main(*sys.argv[1:])
