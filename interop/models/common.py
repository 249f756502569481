"""What all parts share: the binary, small models with random weights, and one line of the table a part."""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="", TQDM_DISABLE="1")
if "HF_HOME" not in os.environ:
    os.environ["HF_HOME"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)
warnings.filterwarnings("ignore")

import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast  # noqa: E402

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

ROOT = Path(__file__).resolve().parents[2]
SIP = os.environ.get("SIP_BINARY", str(ROOT / "target/release/sip"))
PROSE = [(ROOT / name).read_text() for name in ("README.md", "docs/economics.md", "docs/glossary.md")]
FOREIGN = "東京は夜の七時。 naïve café Zwölf Boxkämpfer 🙂 Привет мир"
# What losses are measured on.
TEXT = " ".join(PROSE[1].split()[:90]) + " " + FOREIGN
# Losses that are further apart differ.
NEAR = 1e-4


class Refused(Exception):
    """The program says in words that it does not read something."""


def sip(*arguments, given=None):
    """What a command answers under --json."""
    command = [SIP, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, input=given, env={**os.environ, "SIP_THREADS": "1"})
    if done.returncode == 0:
        return json.loads(done.stdout)
    try:
        raise Refused(json.loads(done.stdout or done.stderr)["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        raise SystemExit(f"{command}: exit code {done.returncode}: {done.stderr[-400:]}") from None


def byte_level(pre_tokenizer, vocabulary=600, special=("<|endoftext|>", "<|im_start|>", "<|im_end|>")):
    """A byte-level BPE tokenizer of this repository's pages."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*PROSE, *[FOREIGN] * 50], trainer)
    return tokenizer


def save_tokenizer(folder, tokenizer, **settings):
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **settings}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return PreTrainedTokenizerFast.from_pretrained(folder)


USUAL = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def shape(**changed):
    """A small model's configuration."""
    return {
        "vocab_size": USUAL.get_vocab_size(), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": False, "bos_token_id": None, "eos_token_id": 0,
    } | changed  # fmt: skip


def random_model(configuration, dtype=torch.float32):
    """Weights that make what each of them does count."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(configuration).to(dtype)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(torch.randn_like(parameter) * 0.3)
        else:
            parameter.data.mul_(6)
    return model.eval()


def save_model(folder, configuration=None, tokenizer=None, dtype=torch.float32, **settings):
    """A model in a folder, with a tokenizer beside it."""
    random_model(configuration or LlamaConfig(**shape()), dtype).save_pretrained(folder)
    save_tokenizer(folder, tokenizer or USUAL, **settings)
    return folder


def loss_of(model, tokenizer=USUAL):
    """The mean over the text behind the token that ends a document, as `sip eval` sets one before."""
    ids = torch.tensor([[0, *tokenizer.encode(TEXT, add_special_tokens=False).ids]])
    with torch.no_grad():
        return model(ids, labels=ids).loss.item()


def loss_in(folder):
    return loss_of(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval())


def sip_loss(folder, *arguments):
    text = Path(folder).parent / "text.txt"
    text.write_text(TEXT)
    return sip("eval", text, "--model", folder, *arguments)["texts"][0]["loss"]


class Part:
    """The cases of a part: what is the same, what the program refuses by name as it should, and what is wrong."""

    def __init__(self, name, needed):
        self.name, self.needed = name, needed
        self.same, self.refused, self.wrong, self.furthest = 0, 0, [], 0.0

    def near(self, case, expected, found):
        distance = abs(expected - found)
        self.furthest = max(self.furthest, distance)
        self.equal(case, True, distance < NEAR, f"{found}, expected {expected}")

    def equal(self, case, expected, found, said=None):
        if expected == found:
            self.same += 1
        else:
            self.wrong.append(f"{self.name} {case}: {said or f'{found!r}, expected {expected!r}'}")

    def refusal(self, case, reason, words):
        """Refused: right where these words say why; no words where it should be read."""
        if words and words in reason:
            self.refused += 1
        else:
            self.wrong.append(f"{self.name} {case}: refused: {reason}")

    def row(self):
        enough = self.same >= self.needed
        furthest = f"{self.furthest:.0e}" if self.furthest else ""
        return [self.name, self.same, f"≥ {self.needed}", self.refused, furthest, "ok" if enough and not self.wrong else "DIFFERS"]
