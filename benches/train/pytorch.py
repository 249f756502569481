#!/usr/bin/env python3
"""One training step of a small Llama in PyTorch (eager, f32, CPU): tokens per second as JSON.

The same model sizes, batch, clipping and AdamW as `sip-bench-train`; run one after the other on an idle machine.
Needs only the `torch` package.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

# vocabulary, width, inner width, layers, heads, rows per batch, tokens per row
SIZES = {
    "small": (2048, 128, 344, 4, 4, 4, 128),
    "medium": (2048, 192, 512, 6, 6, 4, 128),
    "12m": (4096, 384, 1024, 6, 6, 8, 256),
}
EPSILON = 1e-5
ROPE_BASE = 10_000.0
# Steps on one batch, on which the loss must fall.
LEARNING_STEPS = 6


def parameters(vocabulary, width, inner, layers):
    """Random matrices [out, in] and gains of 1, as leaves."""

    def matrix(*shape, deviation=0.02):
        return torch.empty(*shape).normal_(0.0, deviation).requires_grad_()

    residual = 0.02 / (2 * layers) ** 0.5
    embedding = matrix(vocabulary, width)
    blocks = [
        {
            "input_norm": torch.ones(width, requires_grad=True),
            "query": matrix(width, width),
            "key": matrix(width, width),
            "value": matrix(width, width),
            "output": matrix(width, width, deviation=residual),
            "post_norm": torch.ones(width, requires_grad=True),
            "gate": matrix(inner, width),
            "up": matrix(inner, width),
            "down": matrix(width, inner, deviation=residual),
        }
        for _ in range(layers)
    ]
    return embedding, blocks, torch.ones(width, requires_grad=True)


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


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", choices=SIZES, default="small")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--measurements", type=int, default=15, help="the median is reported")
    options.add_argument("--steps", type=int, default=3, help="steps per measurement")
    options = options.parse_args()
    if min(options.threads, options.measurements, options.steps) < 1:
        raise SystemExit("--threads, --measurements and --steps must be at least 1")
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)

    vocabulary, width, inner, layers, heads, rows, length = SIZES[options.size]
    weights = parameters(vocabulary, width, inner, layers)
    embedding, blocks, last_norm = weights
    leaves = [embedding, last_norm] + [weight for block in blocks for weight in block.values()]
    groups = [
        {"params": [weight for weight in leaves if weight.dim() > 1], "weight_decay": 0.1},
        {"params": [weight for weight in leaves if weight.dim() == 1], "weight_decay": 0.0},
    ]
    # The fused form is PyTorch's fastest AdamW on a CPU.
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)

    head = width // heads
    frequencies = ROPE_BASE ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies).repeat(1, 2)
    cosines, sines = angles.cos().float(), angles.sin().float()

    def batch():
        return torch.randint(0, vocabulary, (rows, length + 1))

    def step(tokens):
        optimizer.zero_grad()
        loss = loss_of(weights, tokens[:, :-1], tokens[:, 1:], heads, cosines, sines)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        optimizer.step()
        return loss.item()

    fixed = batch()
    losses = [step(fixed) for _ in range(LEARNING_STEPS)]
    if not losses[-1] < losses[0]:
        raise SystemExit(f"the loss does not fall on one batch: {losses}")
    times, cpu_times = [], []
    # The first measurement warms up.
    for _ in range(options.measurements + 1):
        batches = [batch() for _ in range(options.steps)]
        started, cpu_started = time.perf_counter(), time.process_time()
        for tokens in batches:
            step(tokens)
        times.append((time.perf_counter() - started) / options.steps)
        cpu_times.append((time.process_time() - cpu_started) / options.steps)
    seconds = statistics.median(times[1:])
    report = {
        "torch": torch.__version__,
        "size": options.size,
        "parameters": sum(weight.numel() for weight in leaves),
        "batch": rows,
        "seq_len": length,
        "threads": options.threads,
        "losses": losses,
        "step_ms": seconds * 1e3,
        # Of all threads together.
        "step_cpu_ms": statistics.median(cpu_times[1:]) * 1e3,
        "tokens_per_second": rows * length / seconds,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
