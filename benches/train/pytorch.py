#!/usr/bin/env python3
"""The training step in eager PyTorch (f32, CPU), with its fused attention and fused AdamW, as a side of the comparison.

It trains when it is told to, in the lines that src/side.rs describes. Needs only the package `torch`.
"""

import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F

EPSILON = 1e-5
ROPE_BASE = 10_000.0


def parameters(path, vocabulary, width, inner, layers):
    """The weights of a file, f32 in the order of `LlamaConfig::parameters`: matrices [out, in] and gains, as leaves."""
    count = sum(layers * n for n in (2 * width, 4 * width * width, 3 * width * inner)) + (vocabulary + 1) * width
    everything = torch.from_file(path, size=count, dtype=torch.float32)
    read = 0

    def tensor(*shape):
        nonlocal read
        length = torch.Size(shape).numel()
        values = everything[read : read + length].view(shape).clone()
        read += length
        return values.requires_grad_()

    embedding = tensor(vocabulary, width)
    blocks = [
        {
            "input_norm": tensor(width),
            "query": tensor(width, width),
            "key": tensor(width, width),
            "value": tensor(width, width),
            "output": tensor(width, width),
            "post_norm": tensor(width),
            "gate": tensor(inner, width),
            "up": tensor(inner, width),
            "down": tensor(width, inner),
        }
        for _ in range(layers)
    ]
    return embedding, blocks, tensor(width)


def rotate(x, cosines, sines):
    """Rotates the pairs (i, i + half) of heads [..., tokens, head width]."""
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second, first), dim=-1) * sines


def loss_of(weights, tokens, targets, heads, cosines, sines):
    """Mean cross-entropy in nats; tokens and targets are [rows, tokens]."""
    embedding, blocks, last_norm = weights
    rows, length = tokens.shape
    width = embedding.shape[1]

    def split(x):
        return x.view(rows, length, heads, width // heads).transpose(1, 2)

    x = F.embedding(tokens, embedding)
    for block in blocks:
        normed = F.rms_norm(x, (width,), block["input_norm"], EPSILON)
        query = rotate(split(F.linear(normed, block["query"])), cosines, sines)
        key = rotate(split(F.linear(normed, block["key"])), cosines, sines)
        value = split(F.linear(normed, block["value"]))
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + F.linear(attended.transpose(1, 2).reshape(rows, length, width), block["output"])
        normed = F.rms_norm(x, (width,), block["post_norm"], EPSILON)
        x = x + F.linear(F.silu(F.linear(normed, block["gate"])) * F.linear(normed, block["up"]), block["down"])
    logits = F.linear(F.rms_norm(x, (width,), last_norm, EPSILON), embedding)
    return F.cross_entropy(logits.view(rows * length, -1), targets.reshape(-1))


def tokens_of(seed, rows, length, vocabulary):
    """Token ids [rows, length + 1], the same as `Shape::tokens_of`."""
    state = seed * 0x9E3779B97F4A7C15 % 2**64
    tokens = []
    for _ in range(rows * (length + 1)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        tokens.append((state >> 33) % vocabulary)
    return torch.tensor(tokens).view(rows, length + 1)


def peak_bytes():
    """Most memory that was resident; the peak of building the model was forgotten where the system allows it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--weights", required=True, help="file of f32, little-endian")
    for name in ("vocabulary", "width", "inner", "layers", "heads", "rows", "tokens", "threads"):
        options.add_argument(f"--{name}", type=int, required=True)
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    heads, rows, length = options.heads, options.rows, options.tokens

    weights = parameters(options.weights, options.vocabulary, options.width, options.inner, options.layers)
    embedding, blocks, last_norm = weights
    leaves = [embedding, last_norm] + [weight for block in blocks for weight in block.values()]
    groups = [
        {"params": [weight for weight in leaves if weight.dim() > 1], "weight_decay": 0.1},
        {"params": [weight for weight in leaves if weight.dim() == 1], "weight_decay": 0.0},
    ]
    # The fused form is PyTorch's fastest AdamW on a CPU.
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)

    head = options.width // heads
    frequencies = ROPE_BASE ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies).repeat(1, 2)
    cosines, sines = angles.cos().float(), angles.sin().float()

    def step(tokens):
        optimizer.zero_grad()
        loss = loss_of(weights, tokens[:, :-1], tokens[:, 1:], heads, cosines, sines)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        optimizer.step()
        return loss.item()

    try:
        with open("/proc/self/clear_refs", "w") as forget:
            forget.write("5")
    except OSError as error:
        print(f"peak memory includes the building of the model: {error}", file=sys.stderr)
    for line in sys.stdin:
        batches = [tokens_of(int(seed), rows, length, options.vocabulary) for seed in line.split()]
        started, cpu_started = time.perf_counter(), time.process_time()
        losses = [step(tokens) for tokens in batches]
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        turn = {"losses": losses, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak_bytes()}
        print(json.dumps(turn), flush=True)


if __name__ == "__main__":
    main()
