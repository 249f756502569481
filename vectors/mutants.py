#!/usr/bin/env python3
"""Breaks the referee of spec/disputes.py on purpose, a rule at a time: the games of the vectors must notice each. And the hash of a job's
history in spec/commitments.py, of which each part is left out or goes before another: the history of the vectors must notice.

    python3 vectors/mutants.py          # the rules that somebody once got wrong unnoticed
    python3 vectors/mutants.py --all    # every check left out, every comparison, bound and number changed; minutes

It ends with status 1 and the mutants that all games let pass. Mutants that change nothing are listed in EQUIVALENT, each with its reason.
"""

import ast
import copy
import json
import signal
import sys
from pathlib import Path

import verify

SOURCE = Path(__file__).parent / "spec" / "disputes.py"
FILES = ("disputes", "court", "cases")
SECONDS = 20

# What a rule says, and what takes its place.
NAMED = {
    "an operand at an absent term is proved": ('require(not is_term or node.is_present(coordinates), "the term is absent")', "pass"),
    "an operand's node comes after the node in question": ("require(reads < self.node)", "pass"),
    "an operand's node is the node in question": ("require(reads < self.node)", "require(reads <= self.node)"),
    "the state is disputed after the first pick": ('require(self.height == depth(self.ground["node_count"]), "the trace is not whole any more")', "pass"),
    "the state is disputed in an attestation": ('require(self.ground["case"] != 3, "an attestation claims no state")', "pass"),
    "a batch of another length is convicted": ('require(node.len == g["rows"] * g["row_tokens"])', 'if node.len != g["rows"] * g["row_tokens"]:\n                return self.finish(CONVICTED)'),
    "a batch of another length is not looked at": ('require(node.len == g["rows"] * g["row_tokens"])', "pass"),
    "a lookup at a negative address is within its table": ("self.convict_if(node.address(1, coordinates, self.word_on_table(0)) >= Node(data).len)", "self.convict_if(Node(data).len <= node.address(1, coordinates, self.word_on_table(0)) < 1 << 63)"),
    "a move of an earlier slot gives time": ("elapsed = max(0, slot - self.moved_slot)", "elapsed = slot - self.moved_slot"),
    "a move of an earlier slot is refused": ("elapsed = max(0, slot - self.moved_slot)", "require(slot >= self.moved_slot)\n        elapsed = slot - self.moved_slot"),
    "a move of an earlier slot leaves the slot": ("        self.moved_slot = slot\n", "        self.moved_slot = max(slot, self.moved_slot)\n"),
    "the trace is no place": ("self.trace_root = self.value = folded(data)", "self.trace_root = folded(data)"),
    "values that convict lie on the table": ("        if node.run_piece(self.element, self.piece, self.piece_start, values) != self.claim:\n", "        self.put(data)\n        if node.run_piece(self.element, self.piece, self.piece_start, values) != self.claim:\n"),
    "a time-out moves the slot": ("        self.clocks[side] = 0\n", "        self.clocks[side] = 0\n        self.moved_slot = slot\n"),
    "the node's path is not kept": ("self.trace_path[: len(trace_path)] = trace_path", "pass"),
}  # fmt: skip

# What changes nothing, by a part of its line and what was changed: the reason.
EQUIVALENT = {
    ("require(len(data) <= 2056)", "require(len(data) <= 2056) is left out"): "nothing longer than 2052 bytes is posted",
    ("require(len(data) <= 2056)", "len(data) <= 2056 with Lt"): "nothing longer than 2052 bytes is posted",
    ("require(len(data) <= 2056)", "2056 is 2057"): "nothing longer than 2052 bytes is posted",
    ("require(len(data) <= 880)", "require(len(data) <= 880) is left out"): "no node has more than 876 bytes",
    ("require(len(data) <= 880)", "len(data) <= 880 with Lt"): "no node has more than 876 bytes",
    ("require(len(data) <= 880)", "880 is 881"): "no node has more than 876 bytes",
    ("p.end()", "p.end() is left out"): "the end of every payload is looked at after the move, too",
    ("require(slot < len(slots))", "require(slot < len(slots)) is left out"): "what is not a slot is not on the table",
    ("require(slot < len(slots))", "slot < len(slots) with LtE"): "what is not a slot is not on the table",
    ("require(pick < count)", "require(pick < count) is left out"): "what is beyond is not on the table",
    ("require(pick < count)", "pick < count with LtE"): "what is beyond is not on the table",
    ("require(pick <= last)", "require(pick <= last) is left out"): "what is beyond is not on the table",
    ("if pick > 0:", "if pick > 0 is always True"): "before the first piece is nothing, which reads as zero",
    ("if pick > 0:", "pick > 0 with GtE"): "before the first piece is nothing, which reads as zero",
    ("self.piece = self.piece_start = 0", "self.piece = self.piece_start = 0 is left out"): "an element is picked once in a game",
    ("node.coordinates(self.element, 0)", "0 is 1"): "a gather has one term",
    ("if node.kind == GATHER and operand == 1 else 0", "node.kind == GATHER and operand == 1 with Or"): "no other address reads an index",
    ("if node.kind == GATHER and operand == 1 else 0", "0 is 1"): "no other address reads an index",
    ("chunk < chunks", "require(chunks <= 1 << 23 and chunk < chunks) is left out"): "a path of another length opens nothing",
    ("chunk < chunks", "chunks <= 1 << 23 and chunk < chunks with Or"): "a path of another length opens nothing",
    ("chunk < chunks", "chunks <= 1 << 23 with Lt"): "a tensor of 8 GB would be needed",
    ("chunk < chunks", "chunk < chunks with LtE"): "a path of another length opens nothing",
    ("chunk < chunks", "1 is 2"): "a tensor of 8 GB would be needed",
    ("chunk < chunks", "23 is 24"): "a tensor of 8 GB would be needed",
}  # fmt: skip


def games():
    """All games, the short ones first."""
    found = []
    for name in FILES:
        path = verify.FOLDER / f"{name}.json"
        if path.exists():
            found += [item for items in json.loads(path.read_text()).values() for item in items]
    return sorted(found, key=lambda item: len(item["moves"]))


class Late(Exception):
    """A mutant goes on for ever."""


def late(*_):
    raise Late


def noticed(code, played):
    """The name of the game that notices a broken referee."""
    space = {"__name__": "spec.disputes", "__package__": "spec"}
    signal.alarm(SECONDS)
    try:
        try:
            exec(code, space)
        except Exception:
            return "it does not begin"
        verify.Game = space["Game"]
        for item in played:
            try:
                verify.dispute(item)
            except Late:
                raise
            except Exception:
                return item["name"]
    except Late:
        return "it does not end"
    finally:
        signal.alarm(0)
    return None


SWAPS = {ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,),
         ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)}  # fmt: skip
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.LShift: ast.RShift, ast.BitXor: ast.BitOr}


def mutants(tree):
    """Every mutant of the tree: where, what, and a function that makes and one that unmakes it."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("require", "p.end"):
            yield line, f"{ast.unparse(node)} is left out", (node, "value", ast.Constant(None))
        if isinstance(node, ast.If):
            for value in (True, False):
                yield line, f"if {ast.unparse(node.test)} is always {value}", (node, "test", ast.Constant(value))
        if isinstance(node, ast.Compare):
            for place, sign in enumerate(node.ops):
                for other in SWAPS.get(type(sign), ()):
                    ops = list(node.ops)
                    ops[place] = other()
                    yield line, f"{ast.unparse(node)} with {other.__name__}", (node, "ops", ops)
        if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            other = SIGNS[type(node.op)]
            yield line, f"{ast.unparse(node)} with {other.__name__}", (node, "op", other())
        if isinstance(node, ast.BoolOp):
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield line, f"{ast.unparse(node)} with {other.__name__}", (node, "op", other())
        if isinstance(node, ast.Constant) and type(node.value) is int:
            yield line, f"{node.value} is {node.value + 1}", (node, "value", node.value + 1)
        if isinstance(node, ast.IfExp):
            yield line, f"{ast.unparse(node)} the other way", (node, "test", ast.UnaryOp(ast.Not(), node.test))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            yield line, f"{ast.unparse(node)} is left out", (node, "targets", [ast.Name("unused", ast.Store())])


def false_histories():
    """What is false in each mutant of the history, and its function."""
    source = (SOURCE.parent / "commitments.py").read_text()
    function = next(node for node in ast.parse(source).body if getattr(node, "name", None) == "history")
    call = function.body[-1].value
    whole = list(call.args)
    parts = [whole[:at] + whole[at + 1 :] for at in range(len(whole))]
    swapped = [whole[:at] + [whole[at + 1], whole[at]] + whole[at + 2 :] for at in range(len(whole) - 1)]
    for args in parts + swapped:
        call.args, space = args, dict(vars(verify.sys.modules["spec.commitments"]))
        exec(compile(ast.Module([copy.deepcopy(function)], []), "mutant", "exec"), space)
        yield f"a history of {', '.join(ast.unparse(part) for part in args)}", space["history"]


def unnoticed_histories():
    """How many mutants of the history there are, and those that its vectors let pass."""
    file = json.loads((verify.FOLDER / "commitments.json").read_text())
    alone = {name: items if name == "histories" else [] for name, items in file.items()}
    sound, count, alive = verify.history, 0, []
    for name, verify.history in false_histories():
        count += 1
        try:
            verify.commitments(alone)
            alive.append(name)
        except verify.Difference:
            pass
    verify.history = sound
    verify.commitments(alone)
    return count, alive


def main(arguments):
    signal.signal(signal.SIGALRM, late)
    source, played, same = SOURCE.read_text(), games(), 0
    count, alive = unnoticed_histories()
    if noticed(compile(source, "sound", "exec"), played):
        raise SystemExit("the referee itself does not play the games right: see verify.py")
    for name, (rule, other) in NAMED.items():
        if source.count(rule) < 1:
            raise SystemExit(f"spec/disputes.py has no {rule!r} any more: change the mutant, too")
        count += 1
        if not noticed(compile(source.replace(rule, other), name, "exec"), played):
            alive.append(name)
    if "--all" in arguments:
        tree, lines, unused = ast.parse(source), source.splitlines(), set(EQUIVALENT)
        for line, what, (node, field, value) in list(mutants(tree)):
            kept = getattr(node, field)
            setattr(node, field, value)
            count += 1
            if not noticed(compile(ast.fix_missing_locations(copy.deepcopy(tree)), "mutant", "exec"), played):
                known = [key for key in EQUIVALENT if key[0] in lines[line - 1] and key[1] == what]
                unused -= set(known)
                same += bool(known)
                if not known:
                    alive.append(f"line {line}: {what}")
            setattr(node, field, kept)
        alive += [f"what is said to change nothing, but is noticed: {what} in {part}" for part, what in sorted(unused)]
    for name in alive:
        print(f"not noticed: {name}")
    print(f"mutants: {count - same - len(alive)} of {count} were noticed by {len(played)} games and the history, {same} change nothing")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
