"""Models, tokenizers, adapters, chat templates, answers and choices: the same by `sip` as by the libraries that the world uses.

    SIP_BINARY=sip python3 check.py [configurations|strings|adapters|templates|answers|choices]...
"""

import importlib
import sys
import tempfile
import time
from pathlib import Path

PARTS = ["configurations", "strings", "adapters", "templates", "answers", "choices"]


def main(names):
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise SystemExit(__doc__)
    rows, wrong = [["part", "the same", "needed", "refused by name", "furthest", "", "seconds"]], []
    for name in names or PARTS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            part = importlib.import_module(name).run(Path(folder))
        rows.append([*map(str, part.row()), f"{time.monotonic() - start:.0f}"])
        wrong += part.wrong
        print(f"{name}: {part.same} the same, {part.refused} refused by name, {len(part.wrong)} wrong", file=sys.stderr, flush=True)
    for line in wrong:
        print(line)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return any(row[5] != "ok" for row in rows[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
