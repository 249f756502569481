"""The scores of `sip eval`, computed by PyTorch and transformers with nothing of this project but the exported model.

    python3 reference.py MODEL_FOLDER --text FILE... --choices FILE... [--context N] [--stride N] [--sip BINARY]

Without --sip it prints its scores as JSON; with it, it runs `BINARY eval` on the same files and fails unless every
figure agrees to 1e-4 relative and every accuracy is the same. Needs the packages torch and transformers.
"""

import argparse
import json
import math
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-4
DOCUMENT = "<|document|>"


class Judge:
    def __init__(self, folder, context):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.context = context or min(2048, self.model.config.max_position_embeddings)
        documents = self.tokenizer.convert_tokens_to_ids(DOCUMENT) == 0
        # Models trained by this project read every text behind the document token.
        self.begin = [0] if documents else []
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        self.prefix = [0] if documents else [bos if bos is not None else eos]

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False)

    @torch.no_grad()
    def log_likelihoods(self, tokens, count):
        """ln p of each of the last `count` tokens after all before it."""
        logits = self.model(torch.tensor([tokens[:-1]])).logits[0, -count:].double()
        targets = torch.tensor(tokens[-count:])
        return torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0].tolist()

    def text(self, text, stride):
        tokens = self.prefix + self.encode(text)
        total, done = 0.0, 1
        while done < len(tokens):
            count = self.context if done == 1 else stride
            end = min(done + count, len(tokens))
            window = tokens[max(0, end - 1 - self.context) : end]
            total += math.fsum(self.log_likelihoods(window, end - done))
            done = end
        count, size = len(tokens) - 1, len(text.encode())
        return {
            "tokens": count,
            "bytes": size,
            "loss": -total / count,
            "perplexity": math.exp(-total / count),
            "bits_per_byte": -total / math.log(2) / size,
        }

    def choice(self, context, choice):
        """As `_encode_pair` and `_loglikelihood_tokens` of the LM Evaluation Harness."""
        if context == "":
            seen, added = self.prefix, self.encode(" " + choice)
        else:
            bare = context.rstrip()
            whole = self.begin + self.encode(context + " " + choice)
            seen = self.begin + self.encode(bare)
            seen, added = seen, whole[len(seen) :]
        tokens = (seen + added)[-(self.context + 1) :]
        return math.fsum(self.log_likelihoods(tokens, len(added)))

    def choices(self, questions):
        right = right_per_character = right_per_byte = 0
        for question in questions:
            sums = [self.choice(question["context"], choice) for choice in question["choices"]]
            per_character = [s / len(c) for s, c in zip(sums, question["choices"])]
            per_byte = [s / len(c.encode()) for s, c in zip(sums, question["choices"])]
            right += sums.index(max(sums)) == question["answer"]
            right_per_character += per_character.index(max(per_character)) == question["answer"]
            right_per_byte += per_byte.index(max(per_byte)) == question["answer"]
        count = len(questions)
        normed = {"acc_norm": right_per_character / count, "acc_bytes": right_per_byte / count}
        return {"questions": count, "acc": right / count} | normed


def differences(found, expected, name=""):
    """Every figure that is not the same."""
    if isinstance(expected, dict):
        return [d for key, value in expected.items() for d in differences(found[key], value, f"{name}.{key}")]
    if isinstance(expected, list):
        if len(found) != len(expected):
            return [f"{name}: {len(found)} entries, expected {len(expected)}"]
        return [d for at, value in enumerate(expected) for d in differences(found[at], value, f"{name}[{at}]")]
    close = abs(found - expected) <= TOLERANCE * abs(expected)
    return [] if close else [f"{name}: {found}, expected {expected}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--text", nargs="*", default=[])
    parser.add_argument("--choices", nargs="*", default=[])
    parser.add_argument("--context", type=int)
    parser.add_argument("--stride", type=int)
    parser.add_argument("--sip")
    options = parser.parse_args()

    judge = Judge(options.model, options.context)
    stride = options.stride or judge.context
    texts = [judge.text(open(path, encoding="utf-8", newline="").read(), stride) for path in options.text]
    questions = [[json.loads(line) for line in open(path, encoding="utf-8") if line.strip()] for path in options.choices]
    expected = {
        "context": judge.context,
        "stride": stride,
        "texts": texts,
        "choices": [judge.choices(some) for some in questions],
    }
    print(json.dumps(expected, indent=1))
    if not options.sip:
        return
    command = [options.sip, "eval", "--json", "--model", options.model, *options.text]
    command += ["--context", str(judge.context), "--stride", str(stride)]
    for path in options.choices:
        command += ["--choices", path]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(json.dumps(found, indent=1))
    wrong = differences(found, expected)
    print("\n".join(wrong) if wrong else f"all figures agree to {TOLERANCE} relative")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
