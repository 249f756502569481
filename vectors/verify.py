#!/usr/bin/env python3
"""Checks the conformance vectors against docs/spec, with nothing but Python's standard library.

    python3 vectors/verify.py            # all files of vectors/proof
    python3 vectors/verify.py trees      # some of them

It shares no code with the workspace: arithmetic is done on exact integers and rounded once, BLAKE3 and the game of a dispute
are written from the specification. It ends with status 1 and the first difference if a vector is not what the specification gives.
"""

import json
import struct
import sys
from pathlib import Path

from spec import Malformed
from spec.arithmetic import (add, div, exp, fma, from_u32, less_than, log, max_total, mul, nearest_integer, sqrt,
                             sub)  # fmt: skip
from spec.commitments import (batches_root, blob_levels, chunks_of, genesis, leaf_preimage, median, merkle_leaf, merkle_root,
                              opened_blob, opened_merkle, padding, sha256, tensor_root, u32, window)  # fmt: skip
from spec.disputes import Game
from spec.operators import Node


def expect(found, expected, where):
    if found != expected:
        raise SystemExit(f"{where}: the specification gives {found!r}, the vector says {expected!r}")


def words(text):
    data = bytes.fromhex(text)
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def blob(length):
    """The bytes of the blob of a length."""
    return bytes((at * 31 + (at >> 8) * 17 + 7) & 255 for at in range(length))


def arithmetic(file):
    operations = {"add": add, "sub": sub, "mul": mul, "div": div, "fma": fma, "max_total": max_total, "less_than": less_than,
                  "sqrt": sqrt, "exp": exp, "log": log, "nearest_integer": nearest_integer, "from_u32": from_u32}  # fmt: skip
    expect(set(file), set(operations), "arithmetic")
    for name, rows in file.items():
        for *arguments, result in rows:
            expect(operations[name](*arguments), result, f"{name}({', '.join(f'{a:#010x}' for a in arguments)})")


def operators(file):
    for item in file.pop("bytes"):
        try:
            found = Node(bytes.fromhex(item["bytes"])) is not None
        except Malformed:
            found = False
        expect(found, item["is_node"], f"node {item['bytes']}")
    kinds = {"contract": 1, "reduce_add": 2, "reduce_max": 3, "map": 4, "gather": 5, "scatter_add": 6, "contract_i8": 7}
    expect(set(file), set(kinds), "operators")
    for name, items in file.items():
        for number, item in enumerate(items):
            node = Node(bytes.fromhex(item["node"]))
            expect(node.kind, kinds[name], f"{name} {number}")
            operands = [words(text) for text in item["operands"]]
            output = item["output"]
            expect(node.evaluate(operands), None if output is None else words(output), f"{name} {number}")
            if "partials" in item:
                expect(node.partials(node.len - 1, operands), item["partials"], f"{name} {number}, pieces")


def trees(file):
    for item in file["blake3"]:
        data, where = blob(item["bytes"]), f"a blob of {item['bytes']} bytes"
        expect(blob_levels(data)[-1][0].hex(), item["root"], where)
        for index, path in item["openings"]:
            part = data[1024 * index : 1024 * index + 1024]
            found = opened_blob(chunks_of(len(data)), index, part, bytes.fromhex(path))
            expect(found.hex(), item["root"], f"{where}, chunk {index}")
    for item in file["merkle"]:
        count = item["leaves"]
        expect(merkle_root([u32(i) for i in range(count)]).hex(), item["root"], f"a tree of {count} leaves")
        for index, path in item["openings"]:
            found = opened_merkle(count, index, merkle_leaf(u32(index)), bytes.fromhex(path))
            expect(found.hex(), item["root"], f"a tree of {count} leaves, leaf {index}")
    for height, value in file["padding"]:
        expect(padding(height).hex(), value, f"padding {height} levels up")


def commitments(file):
    unhex = bytes.fromhex
    for number, item in enumerate(file["graphs"]):
        nodes, tables = [[unhex(text) for text in item[name]] for name in ("nodes", "tables")]
        for node in nodes:
            Node(node)
        outputs = [u32(node) for node in item["outputs"]]
        roots = merkle_root(nodes), merkle_root(outputs), merkle_root(tables)
        for name, root in zip(("nodes_root", "outputs_root", "tables_root"), roots):
            expect(root.hex(), item[name], f"graph {number}, {name}")
        root = sha256(b"sip.graph.1", roots[0], u32(len(nodes)), roots[1], u32(len(outputs)), roots[2], u32(len(tables)))
        expect(root.hex(), item["root"], f"graph {number}")
    for number, item in enumerate(file["segments"]):
        preimages = []
        for index, leaf in enumerate(item["leaves"]):
            first = index * item["leaf_interval"]
            count = min(item["leaf_interval"], item["inner_steps"] - first)
            batches = batches_root([unhex(root) for root in leaf["batches"]])
            preimages.append(leaf_preimage(first, count, unhex(leaf["start"]), batches, unhex(leaf["end"])))
            expect(preimages[-1].hex(), leaf["preimage"], f"segment {number}, leaf {index}")
        expect(merkle_root(preimages).hex(), item["accumulator_root"], f"segment {number}")
    for step, root in file["steps"]:
        expect(tensor_root([step]).hex(), root, f"step {step}")
    for words, root in file["settings"]:
        expect(tensor_root(words).hex(), root, f"settings {words}")
    for number, item in enumerate(file["windows"]):
        arguments = [item[name] for name in ("place", "step", "row", "mixture_bps", "tokens", "window_tokens")]
        found = window(unhex(item["seed"]), *arguments)
        expect(found, (item["domain"], item["offset"]), f"window {number}")
    for number, item in enumerate(file["draws"]):
        draw = unhex(item["draw"])
        expect(sha256(draw).hex(), item["tip"], f"draw {number}, tip")
        value = sha256(draw, unhex(item["segment"]), unhex(item["accumulator_root"]))[:4]
        expect(int.from_bytes(value, "little") < item["audit_rate"], item["is_drawn"], f"draw {number}")
    for number, item in enumerate(file["seeds"]):
        draws = [unhex(draw) for draw in item["draws"]]
        reveals = sha256(*draws, bytes(32 * (16 - len(draws))))
        expect(sha256(unhex(item["seed"]), reveals).hex(), item["next_seed"], f"seed {number}")
    for number, item in enumerate(file["scores"]):
        root = merkle_root([tensor_root([word for total in item["sums"] for word in (total % 2**32, total >> 32)])])
        expect(root.hex(), item["end_root"], f"score {number}, end")
        tokens = item["windows"] * item["sequence_length"]
        expect([total // tokens for total in item["sums"]], item["scores"], f"score {number}")
        parts = [unhex(item[name]) for name in ("accumulator_root", "salt", "pool", "round")]
        found = sha256(root, parts[0], u32(item["leaf_count"]), *parts[1:])
        expect(found.hex(), item["commitment"], f"score {number}, commitment")
    for number, item in enumerate(file["medians"]):
        expect(median(item["values"]), item["median"], f"median {number}")
    for number, item in enumerate(file["means"]):
        first, *others = item["states"]
        for other in others:
            first = [add(a, b) for a, b in zip(first, other)]
        count = from_u32(len(item["states"]))
        expect([div(a, count) for a in first], item["mean"], f"mean {number}")
    for number, item in enumerate(file["genesis"]):
        found = merkle_root([tensor_root(entry) for entry in genesis(item)])
        expect(found.hex(), item["genesis_root"], f"genesis {number}")


def disputes(file):
    for item in file["disputes"]:
        ground = item["ground"]
        for name, value in ground.items():
            if name.endswith("root") or name == "round_seed":
                ground[name] = bytes.fromhex(value)
        ground["dataset_roots"] = [bytes.fromhex(root) for root in ground["dataset_roots"]]
        ground["bases"] = [bytes.fromhex(root) for root in ground["bases"]]
        game = Game(ground, item["clock_slots"], item["slot"])
        for number, move in enumerate(item["moves"]):
            where = f"{item['name']}, move {number}"
            before = {name: value[:] if isinstance(value, (bytearray, list)) else value for name, value in vars(game).items()}
            try:
                game.play(move["side"], move["kind"], bytes.fromhex(move["payload"]), move["slot"])
                is_taken = True
            except Malformed:
                is_taken = False
                vars(game).update(before)
            expect(is_taken, move["is_taken"], where)
            expect(game.phase, move["phase"], f"{where}, phase")
            expect(sha256(game.position()).hex(), move["position"], f"{where}, position")
        expect(game.outcome, item["outcome"], f"{item['name']}, outcome")


def main():
    checks = [arithmetic, operators, trees, commitments, disputes]
    for check in checks:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]:
            continue
        path = Path(__file__).parent / "proof" / f"{check.__name__}.json"
        file = json.loads(path.read_text())
        count = sum(len(item.get("moves", "1")) if isinstance(item, dict) else 1 for items in file.values() for item in items)
        check(file)
        print(f"{check.__name__}: {count} vectors hold")


main()
