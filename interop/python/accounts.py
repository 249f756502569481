"""Accounts of the program as sip.py decodes them, as JSON: {address: [kind, fields]}.

    python3 accounts.py URL|FILE OUT.json     # FILE: [[address, data in base64]], such as ../ledger.py writes
"""

import base64
import json
import sys
from pathlib import Path

from sip import Sip

IDL = Path(__file__).resolve().parent.parent.parent / "idl" / "sip.json"


def main(source, out):
    if source.startswith("http"):
        decoded = {address: [kind, fields] for address, kind, fields in Sip(IDL, source).read_all()}
    else:
        sip = Sip(IDL)
        decoded = {address: sip.decode(base64.b64decode(data)) for address, data in json.loads(Path(source).read_text())}
    Path(out).write_text(json.dumps(decoded, default=bytes.hex))


main(*sys.argv[1:])
