"""Adapters that `peft` makes, read by `sip eval`, and one that `sip finetune` makes, read by `peft`."""

import json
import shutil

import peft
from common import Part, Refused, loss_of, save_model, shape, sip, sip_loss
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig
import torch

SOME = ["q_proj", "v_proj"]
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ENDS = ["embed_tokens", "lm_head"]


def lora(modules=SOME, **settings):
    return LoraConfig(r=4, lora_alpha=8, target_modules=modules, **settings)


# Of each: the model below it, and its settings.
READ = {
    "two modules": ("untied", lora()), "all modules": ("untied", lora(ALL)), "all linear": ("untied", lora("all-linear")),
    "modules by expression": ("untied", lora(r".*\.(q|k)_proj")), "rsLoRA": ("untied", lora(ALL, use_rslora=True)), "DoRA": ("untied", lora(ALL, use_dora=True)),
    "DoRA over biases": ("biased", lora(ALL, use_dora=True)), "over biases": ("biased", lora(ALL)), "over a tied model": ("tied", lora(ALL)),
    "ends trained whole": ("untied", lora(modules_to_save=ENDS)), "a norm trained whole": ("untied", lora(modules_to_save=["norm"])),
    "ends": ("untied", lora([*ENDS, "q_proj"])), "output layer": ("untied", lora(["lm_head"])), "embedding": ("untied", lora(["embed_tokens", "v_proj"])),
    "ranks by name": ("untied", lora(rank_pattern={"v_proj": 2}, alpha_pattern={"layers.1.self_attn.q_proj": 3})),
    "rsLoRA, ranks by name": ("untied", lora(use_rslora=True, rank_pattern={"v_proj": 2})), "one layer": ("untied", lora(layers_to_transform=[1])),
    "all but one": ("untied", lora(ALL, exclude_modules=["q_proj"])), "gaussian": ("untied", lora(init_lora_weights="gaussian")),
    "orthogonal": ("untied", lora(init_lora_weights="orthogonal")),
}  # fmt: skip
REFUSED = {
    "biases trained": ("biased", lora(ALL, bias="all"), "bias \"all\""), "own biases": ("biased", lora(ALL, bias="lora_only"), "bias"),
    "biases of its own": ("biased", lora(ALL, lora_bias=True), "lora_bias"), "a tied end whole": ("tied", lora(modules_to_save=["embed_tokens"]), "shares"),
    "ranks by expression": ("untied", lora(rank_pattern={r"^model.layers.0.self_attn.v_proj": 2}), "pattern"),
    "PiSSA": ("untied", lora(init_lora_weights="pissa"), "init_lora_weights"), "OLoRA": ("untied", lora(init_lora_weights="olora"), "init_lora_weights"),
    "tokens": ("untied", lora(trainable_token_indices=[3, 5]), "trainable_token_indices"),
    "layers twice": ("untied", lora(layer_replication=[[0, 2], [1, 2]]), "layer_replication"),
    "IA3": ("untied", peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]), "IA3"),
    "LoHa": ("untied", peft.LoHaConfig(r=4, target_modules=SOME), "LOHA"), "LoKr": ("untied", peft.LoKrConfig(r=4, target_modules=SOME), "LOKR"),
    "OFT": ("untied", peft.OFTConfig(target_modules=SOME, r=8, oft_block_size=0), "OFT"),
    "AdaLoRA": ("untied", peft.AdaLoraConfig(init_r=4, target_r=2, target_modules=SOME, total_step=10), "ADALORA"),
}  # fmt: skip


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def with_adapter(base, adapter):
    return PeftModel.from_pretrained(load(base), adapter).eval()


def make(base, settings, folder):
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(3)
    model = get_peft_model(load(base), settings)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)


def run(folder):
    part = Part("adapters", 20)
    kinds = {"untied": {}, "tied": {"tie_word_embeddings": True}, "biased": {"attention_bias": True}}
    bases = {name: save_model(folder / name, LlamaConfig(**shape(**keys))) for name, keys in kinds.items()}
    adapter = folder / "adapter"
    for name, (kind, settings, words) in {**{name: (*case, None) for name, case in READ.items()}, **REFUSED}.items():
        make(bases[kind], settings, adapter)
        try:
            found = sip_loss(bases[kind], "--adapter", adapter)
        except Refused as refused:
            part.refusal(name, str(refused), words)
            continue
        part.near(name, loss_of(with_adapter(bases[kind], adapter)), found)
    answers = folder / "answers.jsonl"
    lines = [{"prompt": f"Q{number} ", "response": f"A{number * 3} b"} for number in range(40)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    few = ["--steps", 6, "--learning-rate", 0.01, "--sequence", 32, "--eval-every", 0, "--overwrite"]
    made = folder / "made"
    sip("finetune", "--model", bases["untied"], "--data", answers, "--lora", "--rank", 4, "--alpha", 8, "--out", made, *few)
    own = made / "adapter"
    part.near("made here", loss_of(with_adapter(bases["untied"], own)), sip_loss(bases["untied"], "--adapter", own))
    whole = folder / "whole"
    sip("finetune", "--model", bases["untied"], "--data", answers, "--out", whole, *few)
    part.near("a whole model made here", loss_of(load(whole / "model").eval()), sip_loss(whole / "model"))
    return part
