"""Tokens of hostile strings, by the `tokenizers` library and by `sip tokenize`."""

import json
import random
import re

from common import FOREIGN, PROSE, Part, Refused, byte_level, sip
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

RANDOM_STRINGS = 170
SPACE = "▁"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
UPPER, LOWER, CUT = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
BY_CASE = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CUT}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CUT}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(*patterns):
    parts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*parts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def plain(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})


def with_normalizer(tokenizer, normalizer):
    tokenizer.normalizer = normalizer
    return tokenizer


def with_added():
    tokenizer = byte_level(plain())
    words = [("foo bar", {"normalized": False}), ("word", {"single_word": True}), ("[L]", {"lstrip": True}), ("[R]", {"rstrip": True})]
    words += [("café", {"normalized": True}), ("ab", {}), ("abc", {})]
    tokenizer.add_tokens([AddedToken(text, **flags) for text, flags in words])
    return tokenizer


def sentence_pieces(normalizer=None, pre_tokenizer=None, strips=True):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    parts = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts + [decoders.Strip(" ", 1, 0)] * strips)
    special = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*PROSE, *[FOREIGN] * 50], trainer)
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([*PROSE, *[FOREIGN] * 50], trainer)
    return tokenizer


KINDS = {
    "gpt-2": lambda: byte_level(plain()),
    "gpt-2 with a space before": lambda: byte_level(plain(add_prefix_space=True)),
    "digits apart": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), plain()])),
    "llama 3": lambda: byte_level(split(LLAMA3)),
    "by case": lambda: byte_level(split(BY_CASE)),
    "three splits": lambda: byte_level(split(r"[\r\n]", r"\s?\p{L}+", r"\p{N}")),
    "composed": lambda: with_normalizer(byte_level(split(LLAMA3)), normalizers.NFC()),
    "small letters": lambda: with_normalizer(
        byte_level(plain()), normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    ),
    "added tokens": with_added,
    "llama 2": lambda: sentence_pieces(normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])),
    "llama 2, newer": lambda: sentence_pieces(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "gemma": lambda: sentence_pieces(normalizers.Replace(" ", SPACE), strips=False),
    "unigram": unigram,
}


def strings():
    chance = random.Random(4)
    letters = list("abc ABC  \n\t'.,!?0123456789-_/()[]{}<>é漢字🙂\u0301\u200b\u00a0ß▁\r")
    letters += ["foo bar", "word", "[L]", "[R]", "café", "abc", "<|endoftext|>", "<|im_start|>", "</s>", "<s>", "'ll", "don't", "  ", "\r\n"]
    letters += ["👨‍👩", "ﬁ", "²", "Ⅷ", "İ", "ǅ", "\ue000", "\x7f", "\u2028"]
    made = ["".join(chance.choice(letters) for _ in range(chance.randint(1, 24))) for _ in range(RANDOM_STRINGS)]
    # Line ends of Windows are no part of a text that is read.
    return [re.sub("\r+\n", "\n", text) for text in made] + [line for line in PROSE[0].splitlines() if line.strip()][:30]


def run(folder):
    part = Part("strings", 2000)
    texts = strings()
    for name, make in KINDS.items():
        tokenizer, model = make(), folder / name.replace(" ", "-")
        model.mkdir()
        tokenizer.save(str(model / "tokenizer.json"))
        (model / "tokenizer_config.json").write_text(json.dumps({}))
        for text in texts:
            if not text.strip():
                continue
            try:
                found = sip("tokenize", "-", "--bare", "--model", model, given=text)["ids"]
            except Refused as refused:
                part.refusal(f"{name} {text!r}", str(refused), None)
                continue
            part.equal(f"{name} {text!r}", tokenizer.encode(text, add_special_tokens=False).ids, found)
    return part
