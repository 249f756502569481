"""Accounts as bytes, without any client: of a run, read from the files that docs/spec/files.md describes, the last ledger and the copies of
closed accounts; or of a chain.

    python3 ledger.py RUN|URL OUT.json     # RUN is the folder of a demo; OUT.json is written: [[address, data in base64]]
    python3 ledger.py --lines FILE.json    # prints such a file as lines of address and hexadecimal digits
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))
from sip import Sip, base58  # noqa: E402

IDL = HERE.parent / "idl" / "sip.json"


class Reader:
    """Takes values off the front of bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        if self.at + count > len(self.data):
            raise ValueError("the file ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.bytes(count), "little")


def ledger(data):
    """The program's accounts in a ledger: address and data."""
    assert hashlib.sha256(data[:-32]).digest() == data[-32:], "the checksum is wrong"
    reader = Reader(data[:-32])
    assert reader.bytes(8) == b"SIPLEDGR" and reader.number(4) == 3, "no ledger of format 3"
    program = reader.bytes(32)
    # The binary's hash, the authority, features, slot, entropy, time, lamports, five sums.
    reader.bytes(32 + 1 + 32 + 1 + 8 + 32 + 8 + 8 + 5 * 8)
    reader.bytes(reader.number(4) * (8 + 32))
    for _ in range(reader.number(8)):
        address, _lamports, owner, _rent, _executable = (reader.bytes(count) for count in (32, 8, 32, 8, 1))
        content = reader.bytes(reader.number(8))
        if owner == program:
            yield base58(address), content


def accounts(run):
    """All accounts of a run's last ledger, and those that were closed."""
    last = max((run / "run").glob("ledger-*.bin"), key=lambda path: int(path.stem.split("-")[1]))
    yield from ledger(last.read_bytes())
    for path in sorted((run / "run" / "archive").glob("*.account")):
        yield path.stem, path.read_bytes()


def main(source, file):
    if source == "--lines":
        for address, data in json.loads(Path(file).read_text()):
            print(address, base64.b64decode(data).hex())
        return
    if source.startswith("http"):
        sip = Sip(IDL, source)
        options = {"encoding": "base64", "commitment": "confirmed"}
        found = [[item["pubkey"], item["account"]["data"][0]] for item in sip.rpc("getProgramAccounts", sip.id, options)]
    else:
        found = [[address, base64.b64encode(data).decode()] for address, data in accounts(Path(source))]
    Path(file).write_text(json.dumps(found))


main(*sys.argv[1:])
