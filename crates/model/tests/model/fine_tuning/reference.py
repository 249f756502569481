"""Fine-tuning by other means: `transformers` for the model, `peft` for adapters, autograd for gradients, all in float64.

    python reference.py golden > golden.json        # what tests/model/fine_tuning.rs compares with
    python reference.py peft BASE ADAPTER MERGED    # BASE with ADAPTER on top gives the logits of MERGED

Needs torch, transformers, peft and accelerate.
"""

import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

torch.set_default_dtype(torch.float64)
ROWS, LENGTH = 4, 6
TOKENS = [[1, 5, 5, 10, 0, 3, 2], [9, 9, 1, 4, 5, 6, 7], [3, 1, 4, 1, 5, 9, 2], [8, 0, 7, 7, 2, 10, 6]]
MARKS = [[0, 0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 0, 1, 0], [0, 0, 0, 1, 1, 0, 0]]
REFERENCE = [[-9.5, -20.25], [-7.0, -5.5], [-6.0, -8.0]]  # of all pairs; the batch holds the pairs 2 and 0
PAIRS, BETA = [2, 0], 0.3
RANK, ALPHA = 3, 4.5


def numbers():
    """The generator of tests/model/fine_tuning.rs: uniform in -1 to 1, exact in f32."""
    state = 7
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 40) / 2**23 - 1.0


def f32(value):
    return torch.tensor(value).to(torch.float32).to(torch.float64)


def model(adapters):
    config = LlamaConfig(
        vocab_size=11, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=LENGTH, rms_norm_eps=1e-5, rope_theta=100.0,
        tie_word_embeddings=False, attn_implementation="eager",
    )
    llama = LlamaForCausalLM(config).double()
    draw = numbers()
    with torch.no_grad():
        for _, weight in sorted(llama.named_parameters()):
            scale, middle = (0.3, 1.0) if weight.dim() == 1 else (0.7, 0.0)
            weight.copy_(f32([middle + scale * next(draw) for _ in range(weight.numel())]).reshape(weight.shape))
    if not adapters:
        return llama, {name: weight for name, weight in llama.named_parameters()}
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    tuned = get_peft_model(llama, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets)).double()
    trained = {n.replace(".default.", "."): w for n, w in tuned.named_parameters() if w.requires_grad}
    with torch.no_grad():
        for _, weight in sorted(trained.items()):
            weight.copy_(f32([0.5 * next(draw) for _ in range(weight.numel())]).reshape(weight.shape))
    return tuned, trained


def losses(llama):
    """Cross-entropy per position, [rows, length]."""
    tokens = torch.tensor(TOKENS)
    logits = llama(tokens[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")


def response(llama):
    marks = torch.tensor(MARKS, dtype=torch.float64)[:, 1:]
    return (losses(llama) * marks).sum() / marks.sum()


def preference(llama):
    marks = torch.tensor(MARKS, dtype=torch.float64)[:, 1:]
    gains = -(losses(llama) * marks).sum(1).reshape(-1, 2) - torch.tensor(REFERENCE)[PAIRS]
    return -torch.nn.functional.logsigmoid(BETA * (gains[:, 0] - gains[:, 1])).mean()


def golden():
    cases = {}
    for objective in (response, preference):
        for adapters in (False, True):
            llama, trained = model(adapters)
            loss = objective(llama)
            loss.backward()
            gradients = {
                name: {"norm": weight.grad.norm().item(), "first": weight.grad.flatten()[:4].tolist()}
                for name, weight in trained.items()
            }
            name = f"{objective.__name__}_{'adapters' if adapters else 'weights'}"
            cases[name] = {"loss": loss.item(), "gradients": gradients}
    rounded = json.loads(json.dumps(cases), parse_float=lambda text: float(f"{float(text):.9g}"))
    for case in rounded.values():
        case["gradients"] = dict(sorted(case["gradients"].items()))
    print(json.dumps(rounded, indent=0).replace("\n", " ").replace("}, ", "},\n"))


def peft(base, adapter, merged):
    tokens = torch.arange(1, 33).reshape(2, 16)
    with torch.no_grad():
        tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64), adapter)
        plain = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float64)
        before = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64)(tokens).logits
        found, expected = tuned(tokens).logits, plain(tokens).logits
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    moved = ((before - expected).abs().max() / expected.abs().max()).item()
    print(f"adapter and merged model differ by {difference:.2e}, base and merged model by {moved:.2e}")
    sys.exit(0 if difference < 1e-5 < moved else 1)


if __name__ == "__main__":
    {"golden": golden, "peft": peft}[sys.argv[1]](*sys.argv[2:])
