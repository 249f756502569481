"""Losses of random models of many configurations, by `transformers` and by `sip eval`."""

import json
import shutil

from common import Part, Refused, loss_in, save_model, shape, sip_loss
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
import torch


def new(**rope):
    return {"rope_parameters": {"rope_theta": 10000.0, **rope}}


def old(scaling, theta=10000.0, **more):
    """The keys of `transformers` 4."""

    def edit(config):
        config.pop("rope_parameters", None)
        config.update(rope_theta=theta, rope_scaling=scaling, **more)

    return edit


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}


def cases():
    """Names, configurations, edits of config.json, element types, and the words of a refusal where one is right."""
    llama, mistral = (lambda **k: LlamaConfig(**shape(**k))), (lambda **k: MistralConfig(**{"sliding_window": None, **shape(**k)}))
    qwen2, qwen3 = (lambda **k: Qwen2Config(**shape(**k))), (lambda **k: Qwen3Config(**shape(**k)))
    drop = lambda key: lambda config: config.pop(key)  # noqa: E731
    put = lambda **keys: lambda config: config.update(keys)  # noqa: E731
    window = {"use_sliding_window": True, "sliding_window": 16}
    read = {
        "plain": (llama(),), "tied": (llama(tie_word_embeddings=True),), "one key head": (llama(num_key_value_heads=1),),
        "as many key heads": (llama(num_key_value_heads=4),), "no key heads said": (llama(num_key_value_heads=4), drop("num_key_value_heads")),
        "head_dim": (llama(head_dim=16),), "eps": (llama(rms_norm_eps=1e-2),), "no eps": (llama(), drop("rms_norm_eps")),
        "theta": (llama(**new(rope_type="default") | {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),),
        "linear": (llama(**new(rope_type="linear", factor=4.0)),), "llama3": (llama(**new(**LLAMA3, original_max_position_embeddings=64)),),
        "yarn": (llama(**new(**YARN)),), "yarn attention": (llama(**new(**YARN, attention_factor=1.3)),),
        "yarn mscales": (llama(**new(**YARN, mscale=0.7, mscale_all_dim=0.9)),), "yarn mscale": (llama(**new(**YARN, mscale=0.7)),),
        "yarn betas": (llama(**new(**YARN, beta_fast=16, beta_slow=2)),), "yarn whole": (llama(**new(**YARN, truncate=False)),),
        "old linear": (llama(), old({"type": "linear", "factor": 2.0})),
        "old llama3": (llama(), old({**LLAMA3, "original_max_position_embeddings": 64}, 5e5)),
        "old llama3, length on top": (llama(), old(LLAMA3, original_max_position_embeddings=64)),
        "old yarn": (llama(), old({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128})),
        "old yarn, no length": (llama(), old({"type": "yarn", "factor": 4.0})),
        "old yarn, length on top": (llama(), old({"type": "yarn", "factor": 4.0}, original_max_position_embeddings=128)),
        "old yarn, no factor": (llama(), old({"type": "yarn", "factor": None}, original_max_position_embeddings=128)),
        "old default": (llama(), old({"rope_type": "default"}, 3e4)), "old null": (llama(), old(None, 3e4)),
        "old and new agree": (llama(), put(rope_theta=3e4, rope_parameters={"rope_type": "default", "rope_theta": 3e4})),
        "theta on top": (llama(), put(rope_theta=3e4, rope_parameters={"rope_type": "default"})), "no theta": (llama(), drop("rope_parameters")),
        "partial 1": (llama(), put(partial_rotary_factor=1.0)),
        "attention bias": (llama(attention_bias=True),), "mlp bias": (llama(mlp_bias=True),), "both biases": (llama(attention_bias=True, mlp_bias=True),),
        "mistral": (mistral(),), "mistral window": (mistral(sliding_window=16),), "mistral no window said": (mistral(), drop("sliding_window")),
        "mistral head_dim": (mistral(head_dim=16, sliding_window=32),), "qwen2": (qwen2(),), "qwen2 tied": (qwen2(tie_word_embeddings=True),),
        "qwen2 window": (qwen2(**window, max_window_layers=0),), "qwen2 no window": (qwen2(**window, max_window_layers=2),),
        "qwen2 yarn": (qwen2(**new(**YARN)),), "qwen3": (qwen3(head_dim=16),), "qwen3 no head_dim said": (qwen3(head_dim=128), drop("head_dim")),
        "qwen3 bias": (qwen3(head_dim=8, attention_bias=True),), "qwen3 tied": (qwen3(head_dim=8, tie_word_embeddings=True),),
        "bf16": (llama(), None, torch.bfloat16), "f16": (llama(), None, torch.float16),
    }  # fmt: skip
    for name, case in read.items():
        yield name, *case, *[None, torch.float32][len(case) - 1 :], None
    refused = {
        "two ropes": (put(rope_scaling={"rope_type": "linear", "factor": 2.0}, rope_parameters={"rope_type": "default", "rope_theta": 1e4}), "contradict"),
        "two thetas": (old({"type": "linear", "factor": 2.0, "rope_theta": 5e4}), "contradict"),
        "two lengths": (old({**LLAMA3, "original_max_position_embeddings": 64}, original_max_position_embeddings=128), "contradict"),
        "partial": (put(partial_rotary_factor=0.5), "partial_rotary_factor is 0.5"), "dynamic": (old({"type": "dynamic", "factor": 2.0}), "dynamic"),
        "longrope": (old({"type": "longrope", "long_factor": [1.0] * 4, "short_factor": [1.0] * 4}), "rope_scaling is"),
        "mrope": (old({"type": "mrope", "mrope_section": [1, 1, 2]}), "rope_scaling is"),
        "a key of another rope": (old({"type": "linear", "factor": 2.0, "attention_factor": 3.0}), "attention_factor is not read"),
        "a factor of no rope": (lambda config: config["rope_parameters"].update(factor=2.0), "factor is not read"),
        "ropes by layer": (put(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e4}}), "is not read"),
        "theta as text": (old(None, "10000"), "rope_theta"), "gelu": (put(hidden_act="gelu"), "hidden_act is gelu"),
    }  # fmt: skip
    for name, (edit, words) in refused.items():
        yield name, llama(), edit, torch.float32, words
    yield "qwen2 mixed windows", qwen2(**window, max_window_layers=1), None, torch.float32, "layer_types"


def run(folder):
    part = Part("configurations", 40)
    for name, configuration, edit, dtype, words in cases():
        model = folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        save_model(model, configuration, dtype=dtype)
        if edit:
            path = model / "config.json"
            config = json.loads(path.read_text())
            edit(config)
            path.write_text(json.dumps(config))
        try:
            found = sip_loss(model)
        except Refused as refused:
            part.refusal(name, str(refused), words)
            continue
        part.near(name, loss_in(model), found)
    return part
