"""Multiple choice by the LM Evaluation Harness itself and by `sip eval --choices`."""

import json
import logging
import random

logging.disable(logging.WARNING)

from common import Part, save_model, sip  # noqa: E402
from lm_eval import simple_evaluate  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

WORDS = ["the", "river", "mill", "of", "é", "9", "wheel", "took", "東", "b", "naïve"]
SETS, QUESTIONS = 4, 40


def questions(chance):
    def words(most):
        return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, most)))

    for _ in range(QUESTIONS):
        choices = list(dict.fromkeys(words(5) for _ in range(chance.randint(2, 5))))
        while len(choices) < 2:
            choices.append(words(6))
        yield {"context": words(8) + chance.choice(["", " ", "\n", ":"]), "choices": choices, "answer": chance.randrange(len(choices))}


def by_harness(model, data):
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm", "acc_bytes")]
    task = ConfigurableTask(
        config={
            "task": "choices", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test",
            "output_type": "multiple_choice", "doc_to_text": "{{context}}", "doc_to_choice": "choices", "doc_to_target": "answer",
            "target_delimiter": " ", "metric_list": metrics,
        }
    )  # fmt: skip
    harness = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=1)
    found = simple_evaluate(model=harness, tasks=[task], bootstrap_iters=0, log_samples=False)["results"]["choices"]
    return {name: found[f"{name},none"] for name in ("acc", "acc_norm", "acc_bytes")}


def run(folder):
    part = Part("choices", 12)
    model = save_model(folder / "model", eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    for number in range(SETS):
        data = folder / f"questions-{number}.jsonl"
        data.write_text("".join(json.dumps(question) + "\n" for question in questions(random.Random(number))))
        [found] = sip("eval", "--choices", data, "--model", model)["choices"]
        for metric, expected in by_harness(model, data).items():
            part.near(f"{metric} of {QUESTIONS} questions, set {number}", expected, found[metric])
    return part
