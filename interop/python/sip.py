"""A client of SIP that reads idl/sip.json when it runs: one file, nothing but Python's standard library, nothing generated.

    sip = Sip("idl/sip.json", "http://127.0.0.1:8899")
    me = Wallet.read("key.json")
    sip.send(me, sip.instruction("deposit", owner=me, pool=pool, amount=5 * TOKEN, minimum_shares=0))
    print(sip.read(sip.pda("position", pool=pool, owner=me.address)))

Names are the IDL's in Python's spelling: minimumShares is minimum_shares. Addresses are base58 texts, bytes are bytes, numbers int; a number
that has a name is a Choice, which is an int. The arithmetic of keys is plain Python: right, but neither fast nor hardened against someone who
measures its time. To sign with keys that are worth something, hand the instructions to a library that is.
"""

import base64
import hashlib
import json
import re
import time
import urllib.request
from pathlib import Path

TOKEN = 1_000_000_000  # base units of a SIP

# Base58


ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data):
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def key_bytes(address):
    """The 32 bytes of an address, of a Wallet, or of those bytes."""
    if isinstance(address, bytes):
        return address
    number = 0
    for character in str(address):
        number = number * 58 + ALPHABET.index(character)
    return number.to_bytes(32, "big")


# Ed25519, as in RFC 8032: points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.


P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _x_of(y, sign):
    """The x of a point, or None where the curve has none for this y."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return x if x & 1 == sign else P - x


def _add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


_Y = 4 * pow(5, P - 2, P) % P
BASE = (_x_of(_Y, 0), _Y, 1, _x_of(_Y, 0) * _Y % P)


def _compressed(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def is_on_curve(key):
    """Whether somebody can have the secret of a public key: program addresses are off the curve."""
    number = int.from_bytes(key, "little")
    return _x_of(number % 2**255 % P, number >> 255) is not None


class Wallet:
    """A key pair in the form of Solana's tools."""

    def __init__(self, secret):
        digest = hashlib.sha512(secret).digest()
        self._scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
        self._prefix = digest[32:]
        self.key = _compressed(_times(self._scalar, BASE))
        self.address = base58(self.key)

    @classmethod
    def read(cls, path):
        """The wallet of a key file: a JSON list of 64 numbers, secret first."""
        return cls(bytes(json.loads(Path(path).read_text())[:32]))

    def sign(self, message):
        def number(*parts):
            return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER

        nonce = number(self._prefix, message)
        point = _compressed(_times(nonce, BASE))
        answer = (nonce + number(point, self.key, message) * self._scalar) % ORDER
        return point + answer.to_bytes(32, "little")

    def __str__(self):
        return self.address


def program_address(program, seeds):
    """The program's address of these seeds, with the greatest bump that gives one."""
    for bump in range(255, -1, -1):
        key = hashlib.sha256(b"".join(seeds) + bytes([bump]) + key_bytes(program) + b"ProgramDerivedAddress").digest()
        if not is_on_curve(key):
            return base58(key)
    raise ValueError("no bump gives a program address")


# Names and values


def snake(name):
    return re.sub("[A-Z]", lambda letter: "_" + letter.group().lower(), name)


class Choice(int):
    """A number with a name."""

    name: str

    def __repr__(self):
        return self.name


class SipError(Exception):
    """What the chain or the program refused; `name` and `number` are the IDL's where the program did."""

    def __init__(self, message, number=None, name=None):
        super().__init__(message)
        self.number, self.name = number, name


class Instruction:
    """A program, its accounts as (key, signs, is written), its data, and the wallets that were given among the accounts."""

    def __init__(self, program, accounts, data, wallets):
        self.program, self.accounts, self.data, self.wallets = program, accounts, data, wallets


class _Given(dict):
    """What was given for an instruction; an account that was not is found by its default."""

    def __init__(self, sip, node, given):
        super().__init__(given)
        self.sip, self.node = sip, node

    def __missing__(self, key):
        account = next((account for account in self.node["accounts"] if snake(account["name"]) == key), {"docs": []})
        if "defaultValue" not in account:
            raise ValueError(f"{snake(self.node['name'])} needs {key}: {' '.join(account['docs'])}")
        self[key] = self.sip._constant(account["defaultValue"], self)
        return self[key]


class Sip:
    """The program of an IDL, on a chain if there is an url."""

    def __init__(self, idl, url=None):
        root = json.loads(Path(idl).read_text())
        self.program, self.url = root["program"], url
        self.id = self.program["publicKey"]
        named = lambda what: {snake(node["name"]): node for node in self.program[what]}  # noqa: E731
        self.instructions, self.accounts, self.pdas = named("instructions"), named("accounts"), named("pdas")
        self.types, self.errors = named("definedTypes"), {error["code"]: error for error in self.program["errors"]}

    # Bytes of values

    def _decode(self, node, data, at):
        """The value of a type at a place of the data, and the place behind it."""
        kind = node["kind"]
        if kind == "numberTypeNode":
            size = int(node["format"][1:]) // 8
            return int.from_bytes(data[at : at + size], "little"), at + size
        if kind == "amountTypeNode":
            return self._decode(node["number"], data, at)
        if kind == "booleanTypeNode":
            number, at = self._decode(node["size"], data, at)
            return number == 1, at
        if kind == "publicKeyTypeNode":
            return base58(data[at : at + 32]), at + 32
        if kind == "bytesTypeNode":
            return data[at:], len(data)
        if kind == "fixedSizeTypeNode":
            value = data[at : at + node["size"]]
            is_text = node["type"]["kind"] == "stringTypeNode"
            return value.rstrip(b"\0").decode() if is_text else value, at + node["size"]
        if kind == "arrayTypeNode":
            values = []
            for _ in range(node["count"]["value"]):
                value, at = self._decode(node["item"], data, at)
                values.append(value)
            return values, at
        if kind == "structTypeNode":
            fields = {}
            for field in node["fields"]:
                fields[snake(field["name"])], at = self._decode(field["type"], data, at)
            return fields, at
        if kind == "enumTypeNode":
            number, at = self._decode(node["size"], data, at)
            value = Choice(number)
            value.name = snake(node["variants"][number]["name"])
            return value, at
        if kind == "definedTypeLinkNode":
            return self._decode(self.types[snake(node["name"])]["type"], data, at)
        raise ValueError(f"no decoder for {kind}")

    def _encode(self, node, value):
        """The bytes of a value."""
        kind = node["kind"]
        if kind == "numberTypeNode":
            return int(value).to_bytes(int(node["format"][1:]) // 8, "little")
        if kind == "amountTypeNode":
            return self._encode(node["number"], value)
        if kind == "booleanTypeNode":
            return self._encode(node["size"], bool(value))
        if kind == "publicKeyTypeNode":
            return key_bytes(value)
        if kind == "bytesTypeNode":
            return bytes(value)
        if kind == "stringTypeNode":
            return value.encode()
        if kind == "fixedSizeTypeNode":
            data = self._encode(node["type"], value)
            is_text = node["type"]["kind"] == "stringTypeNode"
            if len(data) > node["size"] or (len(data) < node["size"] and not is_text):
                raise ValueError(f"{len(data)} bytes where {node['size']} belong")
            return data.ljust(node["size"], b"\0")
        if kind == "arrayTypeNode":
            if len(value) != node["count"]["value"]:
                raise ValueError(f"{len(value)} values where {node['count']['value']} belong")
            return b"".join(self._encode(node["item"], item) for item in value)
        if kind == "structTypeNode":
            unknown = set(value) - {snake(field["name"]) for field in node["fields"]}
            if unknown:
                raise ValueError(f"no fields {', '.join(sorted(unknown))}")
            return b"".join(self._encode(field["type"], value[snake(field["name"])]) for field in node["fields"])
        if kind == "enumTypeNode":
            names = [snake(variant["name"]) for variant in node["variants"]]
            return self._encode(node["size"], names.index(value) if isinstance(value, str) else value)
        if kind == "definedTypeLinkNode":
            return self._encode(self.types[snake(node["name"])]["type"], value)
        raise ValueError(f"no encoder for {kind}")

    def zero(self, name):
        """A struct of the IDL with zeros in all its fields, to begin with."""
        node = self.types[snake(name)]["type"]
        return self._decode(node, bytes(1 << 14), 0)[0]

    def decode(self, data):
        """The kind of an account and its fields."""
        for name, node in self.accounts.items():
            if all(self._fits(discriminator, data) for discriminator in node["discriminators"]):
                fields, end = self._decode(node["data"], data, 0)
                if end != len(data):
                    raise ValueError(f"{name} has {end} bytes, not {len(data)}")
                return name, fields
        raise ValueError("the data is no account's of this program")

    def _fits(self, discriminator, data):
        if discriminator["kind"] == "sizeDiscriminatorNode":
            return len(data) == discriminator["size"]
        constant, at = discriminator["constant"], discriminator["offset"]
        expected = self._encode(constant["type"], constant["value"]["number"])
        return data[at : at + len(expected)] == expected

    # Addresses and instructions

    def pda(self, name, **seeds):
        """The address that the IDL derives under this name."""
        node, parts = self.pdas[name], []
        for seed in node["seeds"]:
            if seed["kind"] == "variablePdaSeedNode":
                parts.append(self._encode(seed["type"], seeds.pop(snake(seed["name"]))))
            else:
                parts.append(self._encode(seed["type"], self._constant(seed["value"], {})))
        if seeds:
            raise ValueError(f"{name} has no seeds {', '.join(seeds)}")
        return program_address(node.get("programId", self.id), parts)

    def _constant(self, node, given):
        """What a value node stands for; `given` are accounts and arguments of an instruction."""
        kind = node["kind"]
        if kind in ("accountValueNode", "argumentValueNode"):
            return given[snake(node["name"])]
        if kind == "pdaValueNode":
            seeds = {snake(seed["name"]): self._constant(seed["value"], given) for seed in node["seeds"]}
            return self.pda(snake(node["pda"]["name"]), **seeds)
        if kind == "bytesValueNode":
            return bytes.fromhex(node["data"])
        keys = {"publicKeyValueNode": "publicKey", "numberValueNode": "number", "stringValueNode": "string", "enumValueNode": "variant"}
        value = node[keys[kind]]
        return snake(value) if kind == "enumValueNode" else value

    def instruction(self, name, **given):
        """An instruction. Accounts that follow from others may be left out; a Wallet among them signs."""
        node = self.instructions[name]
        data, expected, given = b"", set(), _Given(self, node, given)
        known = set(given)
        for argument in node["arguments"]:
            key = snake(argument["name"])
            expected.add(key)
            is_fixed = argument.get("defaultValueStrategy") == "omitted"
            data += self._encode(argument["type"], self._constant(argument["defaultValue"], given) if is_fixed else given[key])
        accounts = []
        for account in node["accounts"]:
            key = snake(account["name"])
            expected.add(key)
            if key not in given and account["isOptional"]:
                continue
            signs = isinstance(given[key], Wallet) if account["isSigner"] == "either" else account["isSigner"]
            accounts.append((given[key], signs, account["isWritable"]))
        for more in node.get("remainingAccounts", []):
            key = snake(more["value"]["name"])
            expected.add(key)
            accounts += [(item, more["isSigner"], more["isWritable"]) for item in given.get(key, [])]
        if known - expected:
            raise ValueError(f"{name} has no {', '.join(sorted(known - expected))}")
        wallets = [item for item, _, _ in accounts if isinstance(item, Wallet)]
        return Instruction(self.id, [(getattr(item, "key", None) or key_bytes(item), *flags) for item, *flags in accounts], data, wallets)

    # The chain

    def rpc(self, method, *parameters):
        """The result of a method of the chain's JSON-RPC."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        if "error" in answer:
            raise self._refusal(answer["error"]["message"], answer["error"].get("data", {}).get("err"))
        return answer["result"]

    def _refusal(self, message, error):
        number = error.get("InstructionError", [0, {}])[1] if isinstance(error, dict) else None
        number = number.get("Custom") if isinstance(number, dict) else None
        if number in self.errors:
            named = self.errors[number]
            return SipError(named["message"], number, snake(named["name"]))
        return SipError(f"{message} {error or ''}".strip())

    def send(self, payer, *instructions):
        """Sends instructions as one transaction, signed by the payer and the wallets in them, and waits until it is confirmed."""
        blockhash = self.rpc("getLatestBlockhash", {"commitment": "confirmed"})["value"]["blockhash"]
        wallets = {wallet.key: wallet for wallet in [payer, *(w for one in instructions for w in one.wallets)]}
        message, signers = _message(payer.key, key_bytes(blockhash), instructions)
        signatures = b"".join(wallets[key].sign(message) for key in signers)
        wire = base64.b64encode(_length(len(signers)) + signatures + message).decode()
        signature = self.rpc("sendTransaction", wire, {"encoding": "base64", "preflightCommitment": "confirmed"})
        for _ in range(600):
            status = self.rpc("getSignatureStatuses", [signature])["value"][0]
            if status and status["err"]:
                raise self._refusal("the transaction failed", status["err"])
            if status and status["confirmationStatus"] in ("confirmed", "finalized"):
                return signature
            time.sleep(0.1)
        raise SipError(f"nobody knows yet what became of {signature}")

    def read(self, address):
        """The fields of an account of the program, or None where there is none."""
        value = self.rpc("getAccountInfo", str(address), {"encoding": "base64", "commitment": "confirmed"})["value"]
        return value and self.decode(base64.b64decode(value["data"][0]))[1]

    def read_all(self):
        """All accounts of the program: address, kind, fields."""
        options = {"encoding": "base64", "commitment": "confirmed"}
        for item in self.rpc("getProgramAccounts", self.id, options):
            yield item["pubkey"], *self.decode(base64.b64decode(item["account"]["data"][0]))


def _length(number):
    """A number in seven bits a byte, the lowest first."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _length(number >> 7)


def _message(payer, blockhash, instructions):
    """The message of a legacy transaction, and the keys that sign it in order."""
    flags = {payer: (True, True)}
    for one in instructions:
        for key, signs, writes in [*one.accounts, (key_bytes(one.program), False, False)]:
            before = flags.get(key, (False, False))
            flags[key] = (before[0] or signs, before[1] or writes)
    keys = sorted(flags, key=lambda key: (key != payer, not flags[key][0], not flags[key][1]))
    signers = [key for key in keys if flags[key][0]]
    count = lambda *wanted: sum(found == wanted for found in flags.values())  # noqa: E731
    message = bytes([len(signers), count(True, False), count(False, False)]) + _length(len(keys)) + b"".join(keys) + blockhash
    message += _length(len(instructions))
    for one in instructions:
        places = bytes(keys.index(key) for key, _, _ in one.accounts)
        message += bytes([keys.index(key_bytes(one.program))]) + _length(len(places)) + places + _length(len(one.data)) + one.data
    return message, signers
