"""Losses of answers and of preferences, by `trl`'s trainers and by the first step of `sip finetune`."""

import json
import math

from common import Part, byte_level, save_model, sip
from datasets import Dataset
from tokenizers import decoders, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
import datasets
import torch

datasets.disable_progress_bars()
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PLAIN = "{{ bos_token }}{% for m in messages %}{{ '[' ~ m.role ~ '] ' ~ m.content|trim ~ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}"
PAIRS = [
    ("def f(", "x): return x"), ("a b", "c d"), ("Hello ", " world"), ("a\n", "b"), ("é", "\u0301x"), ("How many?", " 12 of 34, 100%"),
    ("<|im_start|>", "<|im_end|>"), ("東京は", "夜の七時。🙂"),
]  # fmt: skip
USUAL = {"report_to": "none", "use_cpu": True, "per_device_train_batch_size": 4, "disable_tqdm": True, "max_length": 64, "bf16": False}


def metaspace():
    """A tokenizer that sets a space before a text, so that an answer is other tokens behind its prompt than alone."""
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def supervised(folder, model, rows):
    tokenizer = AutoTokenizer.from_pretrained(model)
    settings = SFTConfig(output_dir=str(folder / "trl"), completion_only_loss=True, **USUAL)
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), args=settings, train_dataset=Dataset.from_list(rows * 4),
        processing_class=tokenizer,
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    with torch.no_grad():
        return trainer.compute_loss(trainer.model, batch).item()


def first_loss(folder, model, row, *more):
    data = folder / "rows.jsonl"
    data.write_text((json.dumps(row) + "\n") * 4)
    flag = "--dpo" if "chosen" in row else "--data"
    few = ["--steps", 1, "--batch", 4, "--sequence", 64, "--warmup", 0, "--eval-every", 0, "--overwrite", "--out", folder / "out"]
    return sip("finetune", "--model", model, flag, data, *few, *more)["first_loss"]


def run(folder):
    part = Part("answers", 30)
    end = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    models = {
        "no template": save_model(folder / "no-template", **end),
        "space before": save_model(folder / "space-before", tokenizer=metaspace(), **end),
        "ChatML": save_model(folder / "chatml", **{**end, "eos_token": "<|im_end|>"}, chat_template=CHATML),
        "own template": save_model(folder / "own", **end, chat_template=PLAIN),
    }
    for name, model in models.items():
        for prompt, answer in PAIRS:
            if AutoTokenizer.from_pretrained(model).chat_template:
                turns = [{"prompt": [{"role": "user", "content": prompt}], "completion": [{"role": "assistant", "content": answer}]}]
            else:
                turns = [{"prompt": prompt, "completion": answer}]
            expected = supervised(folder, model, turns)
            part.near(f"{name}, {prompt!r} {answer!r}", expected, first_loss(folder, model, {"prompt": prompt, "response": answer}))
    model = models["no template"]
    row = {"prompt": "a b", "chosen": " c d", "rejected": " e"}
    trainer = DPOTrainer(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), args=DPOConfig(output_dir=str(folder / "trl"), **USUAL),
        train_dataset=Dataset.from_list([row] * 4), processing_class=AutoTokenizer.from_pretrained(model),
    )  # fmt: skip
    with torch.no_grad():
        expected = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()
    found = first_loss(folder, model, row)
    part.near("preferences", expected, found)
    part.near("preferences, by the formula", math.log(2), found)
    return part
