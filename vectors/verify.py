#!/usr/bin/env python3
"""Checks the conformance vectors against docs/spec, with nothing but Python's standard library.

    python3 vectors/verify.py              # all files of vectors/proof
    python3 vectors/verify.py trees        # some of them
    python3 vectors/verify.py --self-test  # spoils vectors by chance: each spoilt one must be refused

It shares no code with the workspace: arithmetic is done on exact integers and rounded once, BLAKE3 and the game of a dispute
are written from the specification. It ends with status 1 and the first difference if a file is not the one that its checksum in
vectors/proof/SHA256SUMS names, or a vector is not what the specification gives.
"""

import copy
import json
import random
import struct
import sys
from pathlib import Path

from spec import Malformed
from spec.arithmetic import (add, div, exp, fma, from_u32, less_than, log, max_total, mul, nearest_integer, sqrt,
                             sub)  # fmt: skip
from spec.commitments import (batches_root, blob_levels, chunks_of, genesis, held_out_window, history, leaf_preimage, median,
                              merkle_leaf, merkle_root, opened_blob, opened_merkle, padding, program_address, sha256, tensor_root, u32, window)  # fmt: skip
from spec.disputes import Game
from spec.graphs import Graph, checked as graph_of, state_root
from spec.manifest import Manifest
from spec.operators import Node
from spec.tables import cosines, double, sines, steps as step_table
from spec.updates import Codec


class Difference(Exception):
    """A vector is not what the specification gives."""


def expect(found, expected, where):
    if found != expected:
        raise Difference(f"{where}: the specification gives {found!r}, the vector says {expected!r}")


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
    for number, item in enumerate(file["second_draws"]):
        value = sha256(unhex(item["second_draw"]), unhex(item["round"]), bytes([item["place"]]))[:4]
        expect(int.from_bytes(value, "little") < item["second_audit_rate"], item["is_drawn"], f"second draw {number}")
        root, leaves = unhex(item["accumulator_root"]), range(item["leaf_count"])
        first = [sha256(b"sip.attestation.1", unhex(draw), root)[:4] for draw in item["first_draws"]]
        taken = {int.from_bytes(value, "little") % len(leaves) for value in first}
        free = [leaf for leaf in leaves if leaf not in taken] or list(leaves)
        value = sha256(b"sip.attestation.2", unhex(item["reveals"]), root)[:4]
        found = free[(int.from_bytes(value, "little") + item["auditor"]) % len(free)]
        expect(found, item["leaf"], f"second draw {number}, leaf")
    for number, item in enumerate(file["seeds"]):
        draws = [unhex(draw) for draw in item["draws"]]
        reveals = sha256(*draws, bytes(32 * (16 - len(draws))))
        hashes = [unhex(value) for value in item["slot_hashes"]]
        expect(sha256(unhex(item["seed"]), reveals, *hashes).hex(), item["next_seed"], f"seed {number}")
    for number, item in enumerate(file["histories"]):
        before = bytes(32)
        for place, final in enumerate(item["history"]):
            before = history(before, final)
            expect(before.hex(), final["after"], f"history {number}, round {place}")
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


def updates(file):
    expect(set(file), {"start", "update", "next_base"}, "updates")
    for name, items in file.items():
        for number, item in enumerate(items):
            codec = Codec(item["chunk"], item["keep"], item["outer"], item["lengths"])
            inputs = {"base", "previous", "residuals", "start", "end"} & set(item)
            read = {key: [words(text) for text in item[key]] for key in inputs}
            if name == "start":
                key, found = "start_state", codec.start(read["base"], read["previous"])
            elif name == "update":
                key, found = "update", codec.update(read["residuals"], read["start"], read["end"])
            else:
                told = [[words(text) for text in update] for update in item["told"]]
                key, found = "next_base", codec.next_base(read["base"], told)
            expect(len(found), len(item[key]), f"{key} {number}, entries")
            for entry, (ours, theirs) in enumerate(zip(found, item[key])):
                expect(ours, words(theirs), f"{key} {number}, entry {entry}")


def dispute(item):
    ground = dict(item["ground"])
    for name, value in item["ground"].items():
        if name.endswith("root") or name == "round_seed":
            ground[name] = bytes.fromhex(value)
    for name in ("dataset_roots", "bases"):
        ground[name] = [bytes.fromhex(root) for root in ground[name]]
    attested = (item["leaf"], bytes.fromhex(item["trace_root"])) if "leaf" in item else ()
    game = Game(ground, item["clock_slots"], item["slot"], *attested)
    for number, move in enumerate(item["moves"]):
        where = f"{item['name']}, move {number}"
        before = {name: value[:] if isinstance(value, (bytearray, list)) else value for name, value in vars(game).items()}
        try:
            if "time_out" in move:
                game.time_out(move["slot"])
            else:
                game.play(move["side"], move["kind"], bytes.fromhex(move["payload"]), move["slot"])
            is_taken = True
        except Malformed:
            is_taken = False
            vars(game).update(before)
        expect(is_taken, move["is_taken"], where)
        expect(game.phase, move["phase"], f"{where}, phase")
        expect(sha256(game.position()).hex(), move["position"], f"{where}, position")
    expect(game.outcome, item["outcome"], f"{item['name']}, outcome")


def disputes(file):
    for item in file["disputes"]:
        dispute(item)


def court(file):
    for items in file.values():
        for item in items:
            dispute(item)


def cases(file):
    numbers = {"aggregate": 1, "genesis": 2, "attestation": 3, "score": 4, "fault": 0, "start": 5, "update": 6, "next_base": 1}
    expect(set(file), set(numbers), "cases")
    for name, items in file.items():
        for item in items:
            expect(item["ground"]["case"], numbers[name], f"{item['name']}, case")
            dispute(item)


def is_sound(read, data):
    """Whether bytes are one of what reads them."""
    try:
        read(data)
    except Malformed:
        return False
    return True


def manifest(file):
    unhex = bytes.fromhex
    for number, item in enumerate(file["graphs"]):
        data, where = unhex(item["bytes"]), f"graph {number}"
        expect(is_sound(Graph, data), item["is_graph"], where)
        if item["is_graph"] and "nodes" in item:
            graph = Graph(data)
            expect([node.hex() for node in graph.bytes], item["nodes"], f"{where}, nodes")
            expect(graph.outputs, item["outputs"], f"{where}, outputs")
            expect([list(result) for result in graph.results], item["results"], f"{where}, results")
            for name, root in zip(("nodes_root", "outputs_root"), graph.roots()):
                expect(root.hex(), item[name], f"{where}, {name}")
    for number, item in enumerate(file["tables"]):
        if item["rule"] == 1:
            peak, share = double(unhex(item["peak"])), double(unhex(item["share"]))
            rest = [item[name] for name in ("shape", "decay", "beta1", "beta2")]
            found = step_table(item["rows"], item["warmup"], peak, share, *rest)
        else:
            rule = cosines if item["rule"] == 2 else sines
            found = rule(item["pairs"], item["positions"], item["theta"])
        expect(found, words(item["elements"]), f"table {number}")
        expect(tensor_root(found).hex(), item["root"], f"table {number}, root")
    whole = []
    for number, item in enumerate(file["manifests"]):
        whole.append(unhex(item["bytes"]))
        found = Manifest(whole[-1])
        expect(found.hash().hex(), item["hash"], f"manifest {number}")
        commits = {name: value.hex() if isinstance(value, bytes) else value for name, value in found.commits().items()}
        expect(commits, item["commits"], f"manifest {number}, commits")
    for item in file["changes"]:
        if item["of"] < len(whole):
            data, written = whole[item["of"]], unhex(item["written"])
            data = data[: item["at"]] + written + data[item["at"] + len(written) :]
            expect(is_sound(Manifest, data), item["is_manifest"], f"manifest {item['of']} with {item['written']} at {item['at']}")


def run_leaves(item, graph, state, extra, batch_of, first_step, settings, steps, interval):
    """Preimages of the leaves of a segment, and the state that it ends in."""
    tables = [words(text) for text in item["tables"]]
    preimages, traces = [], []
    for first in range(0, steps, interval):
        count, start, batches = min(interval, steps - first), state_root(state), []
        for step in range(first, first + count):
            batch = batch_of(step)
            batches.append(tensor_root(batch))
            outputs = graph.step(state + extra, batch, first_step + step, settings, tables)
            if step == first:
                traces.append(merkle_root([tensor_root(output) for output in outputs]).hex())
            state = graph.next_state(outputs)
        preimages.append(leaf_preimage(first, count, start, batches_root(batches), state_root(state)))
    return preimages, traces, state


def claim_bytes(start, end, preimages, place):
    return (start + end + merkle_root(preimages) + u32(len(preimages)) + bytes([place]) + bytes(3)).hex()


def steps(file):
    unhex = bytes.fromhex
    for number, item in enumerate(file["steps"]):
        where = f"step {number}"
        graph = Graph(unhex(item["graph"]))
        state, tables = [[words(text) for text in item[name]] for name in ("state", "tables")]
        outputs = graph.step(state, words(item["batch"]), item["step"], item["settings"], tables)
        roots = [tensor_root(output) for output in outputs]
        for node, (ours, theirs) in enumerate(zip(roots, item["output_roots"], strict=True)):
            expect(ours.hex(), theirs, f"{where}, node {node}")
        expect(merkle_root(roots).hex(), item["trace_root"], f"{where}, trace")
        end = graph.next_state(outputs)
        expect(end, [words(text) for text in item["end_state"]], f"{where}, end")
        expect(state_root(end).hex(), item["end_root"], f"{where}, end root")
        expect({name: outputs[node] for name, node in graph.results},
               {name: words(text) for name, text in item["results"].items()}, f"{where}, results")  # fmt: skip
    for number, item in enumerate(file["segments"]):
        where = f"segment {number}"
        domains, state = [[words(text) for text in item[name]] for name in ("domains", "state")]
        length, start = item["sequence_length"] + 1, state_root(state)

        def drawn(step):
            batch = []
            for row in range(item["batch"]):
                domain, offset = window(unhex(item["seed"]), item["place"], step, row, item["mixture_bps"],
                                        [len(tokens) for tokens in domains], length)  # fmt: skip
                batch += domains[domain][offset : offset + length]
            return batch

        sizes = item["first_step"], item["settings"], item["inner_steps"], item["leaf_interval"]
        preimages, traces, end = run_leaves(item, graph_of(unhex(item["graph"])), state, [], drawn, *sizes)
        expect([preimage.hex() for preimage in preimages], item["leaves"], f"{where}, leaves")
        expect(traces, item["trace_roots"], f"{where}, traces")
        expect(end, [words(text) for text in item["end_state"]], f"{where}, end")
        claim = claim_bytes(start, state_root(end), preimages, item["place"]) + 64 * "00"
        expect(claim, item["claim"], f"{where}, claim")
    for number, item in enumerate(file["scoring_runs"]):
        where = f"scoring run {number}"
        domains, base = [[words(text) for text in item[name]] for name in ("domains", "base")]
        length, state = item["sequence_length"] + 1, [[0] * 16]

        def held_out(step):
            batch = []
            for row in range(item["rows"]):
                counts = [len(tokens) for tokens in domains]
                domain, offset = held_out_window(step, row, item["windows"], item["rows"], counts, length)
                batch += domains[domain][offset : offset + length]
            return batch

        count = len(domains) * item["windows"] // item["rows"]
        graph = graph_of(unhex(item["graph"]))
        preimages, _, end = run_leaves(item, graph, state, base, held_out, 0, [0] * 4, count, item["leaf_interval"])
        expect([preimage.hex() for preimage in preimages], item["leaves"], f"{where}, leaves")
        sums = [low + (high << 32) for low, high in zip(end[0][::2], end[0][1::2])]
        expect(sums, item["sums"], f"{where}, sums")
        tokens = item["windows"] * item["sequence_length"]
        expect([total // tokens for total in sums][: len(domains)], item["scores"], f"{where}, scores")
        claim = claim_bytes(state_root(state), state_root(end), preimages, item["place"])
        expect(claim, item["claim"], f"{where}, claim")
    for number, item in enumerate(file["attestations"]):
        value = sha256(b"sip.attestation.1", unhex(item["draw"]), unhex(item["accumulator_root"]))[:4]
        expect(int.from_bytes(value, "little") % item["leaf_count"], item["leaf"], f"attestation {number}, leaf")
        parts = [unhex(item[name]) for name in ("pool", "segment", "salt", "trace_root")]
        expect(sha256(b"sip.attestation.1", *parts).hex(), item["commitment"], f"attestation {number}")
    for number, item in enumerate(file["accusations"]):
        subject, challenger, salt = [unhex(item[name]) for name in ("subject", "challenger", "salt")]
        found = sha256(b"sip.accuse.2", subject, bytes([item["place"]]), challenger, salt)
        expect(found.hex(), item["hash"], f"accusation {number}")
    for number, item in enumerate(file["addresses"]):
        address, bump = program_address([unhex(seed) for seed in item["seeds"]], unhex(item["program"]))
        expect((address.hex(), bump), (item["address"], item["bump"]), f"address {number}")


CHECKS = [arithmetic, operators, trees, commitments, updates, manifest, steps, disputes, court, cases]
FOLDER = Path(__file__).parent / "proof"


def checked(name, data, sums):
    """A file's content, if it is the one that the checksums name."""
    expect(sha256(data).hex(), sums.get(f"{name}.json"), f"{name}.json, checksum")
    return json.loads(data)


# What a vector says that follows from the rest of it. Inputs are not listed: another input may well have the same result.
RESULTS = {"output", "partials", "is_node", "root", "nodes_root", "outputs_root", "tables_root", "openings", "preimage",
           "accumulator_root", "domain", "offset", "tip", "is_drawn", "next_seed", "end_root", "scores", "commitment", "median",
           "mean", "genesis_root", "start_state", "update", "next_base", "leaf", "is_graph", "elements", "hash", "commits",
           "is_manifest", "history", "output_roots", "trace_root", "end_state", "claim", "trace_roots", "sums", "address", "bump"}  # fmt: skip


def places(value, key=None):
    """The container and the key of every text, number and truth value in a part of a vector."""
    if isinstance(value, (dict, list)):
        for inner in value if isinstance(value, dict) else range(len(value)):
            yield from ([(value, inner)] if not isinstance(value[inner], (dict, list)) else places(value[inner], inner))


def results(item):
    """Everything in a vector that cannot be changed without making it false."""
    if isinstance(item, list):
        return [(item, len(item) - 1)]
    if "moves" not in item:
        found = []
        for name in RESULTS & set(item):
            # An opening is a place and a path; only the path follows from it.
            if name == "openings":
                found += [(opening, 1) for opening in item[name]]
            elif name == "accumulator_root" and "leaves" not in item:
                continue  # an input of draws and scores
            else:
                found += places(item[name]) if isinstance(item[name], (list, dict)) else [(item, name)]
        return sorted(found, key=lambda place: str(place[1]))
    found = [*places(item["ground"]), (item, "clock_slots"), (item, "outcome")]
    first = next((move["slot"] for move in item["moves"] if move["is_taken"] and "side" in move), 0)
    # A move before or in the slot of the opening takes no time, whatever that slot is.
    if first > item["slot"]:
        found.append((item, "slot"))
    for move in item["moves"]:
        found += [(move, name) for name in ("is_taken", "phase", "position")]
        # A refused payload may be refused with any other bytes, and more than one may decide the game.
        if move["is_taken"] and move.get("payload") and move is not item["moves"][-1]:
            found.append((move, "payload"))
    return found


def spoil(chance, container, key):
    """Changes one value; false where there is nothing to change."""
    value = container[key]
    if isinstance(value, bool):
        container[key] = not value
    elif isinstance(value, int):
        container[key] = value ^ 1 << chance.randrange(8)
    elif isinstance(value, str) and value:
        at = chance.randrange(len(value))
        container[key] = value[:at] + f"{int(value[at], 16) ^ 1 << chance.randrange(4):x}" + value[at + 1 :]
    else:
        return False
    return True


def self_test(seed, rounds=12):
    """Spoilt files and vectors, which must all be refused."""
    chance, sums, refused = random.Random(seed), checksums(), 0

    def must_be_refused(attempt, what):
        try:
            attempt()
        except (Difference, Malformed, ValueError, IndexError, KeyError, ArithmeticError, struct.error):
            return 1
        raise SystemExit(f"{what} was spoilt (seed {seed}), and nothing was noticed")

    for check in CHECKS:
        name = check.__name__
        data = (FOLDER / f"{name}.json").read_bytes()
        for _ in range(rounds):
            spoilt = bytearray(data)
            at = chance.randrange(len(spoilt))
            spoilt[at] ^= 1 << chance.randrange(8)
            refused += must_be_refused(lambda: checked(name, bytes(spoilt), sums), f"{name}.json, byte {at}")
        file = json.loads(data)
        empty = {entry: [] for entry in file}
        for entry, items in file.items():
            for _ in range(rounds):
                number = chance.randrange(len(items))
                item = copy.deepcopy(items[number])
                container, key = chance.choice(results(item))
                if spoil(chance, container, key):
                    # A changed manifest is told by what it is a change of.
                    whole = {"manifests": file["manifests"]} if entry == "changes" else {}
                    alone = {**copy.deepcopy(empty), **copy.deepcopy(whole), entry: [item]}
                    refused += must_be_refused(lambda: check(alone), f"{name}.json, {entry} {number}, {key}")
    print(f"self-test: {refused} spoilt files and vectors were refused (seed {seed})")


def checksums():
    """By name of a file, its SHA-256."""
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        return self_test(int(arguments[1]) if len(arguments) > 1 else random.randrange(1 << 32))
    unknown = set(arguments) - {check.__name__ for check in CHECKS}
    if unknown:
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(c.__name__ for c in CHECKS)}")
    sums = checksums()
    expect({path.stem for path in FOLDER.glob("*.json")}, {check.__name__ for check in CHECKS}, "files of vectors")
    for check in CHECKS:
        name = check.__name__
        if arguments and name not in arguments:
            continue
        file = checked(name, (FOLDER / f"{name}.json").read_bytes(), sums)
        count = sum(len(item.get("moves", "1")) if isinstance(item, dict) else 1 for items in file.values() for item in items)
        try:
            check(file)
        except Malformed as error:
            raise Difference(f"{name}.json holds something malformed: {error}") from error
        print(f"{name}: {count} vectors hold")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Difference as difference:
        raise SystemExit(str(difference)) from None
