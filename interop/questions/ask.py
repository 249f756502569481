#!/usr/bin/env python3
"""Asks a Solana node the questions of questions.json, and compares what it says with what Agave's test validator says.

    interop/questions/ask.py http://127.0.0.1:8899                 # the table of equal and differing answers; 1 where one is unexplained
    interop/questions/ask.py URL --write interop/questions/NAME.json   # records the answers, with the node's version
    interop/questions/ask.py URL --show 'getBlock *'               # prints answers of the node beside the recorded ones

A fresh wallet is funded, tells a little story (a token, a nonce, a lookup table, a multisignature, a failure), and then everything is asked. What
cannot be equal on two nodes is written as what it is: <slot>, <time>, <hash>, names in place of fresh addresses and signatures. Of errors
about parameters the number counts and not the words. differences.json says which differences are meant, and why.
"""
import argparse
import base64
import fnmatch
import http.client
import json
import os
import re
import socket
import struct
import sys
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from sip import ORDER, BASE, Wallet, _compressed, _length, _times, base58, is_on_curve, key_bytes  # noqa: E402,F401
import hashlib  # noqa: E402

RECORDED = HERE / "agave-4.2.2.json"
SECONDS = 300  # for whatever must come to pass

# What numbers are that no two nodes share, by their names.
NUMBERS = {
    "slot": "<slot>", "absoluteSlot": "<slot>", "parentSlot": "<slot>", "blockHeight": "<slot>", "lastValidBlockHeight": "<slot>",
    "contextSlot": "<slot>", "parent": "<slot>", "root": "<slot>", "slotIndex": "<slot>", "firstSlot": "<slot>", "lastSlot": "<slot>",
    "lastExtendedSlot": "<slot>", "lastExtendedSlotStartIndex": "<number>", "rootSlot": "<slot>", "lastVote": "<slot>",
    "blockTime": "<time>", "unixTimestamp": "<time>", "epochStartTimestamp": "<time>", "timestamp": "<time>",
    "transactionCount": "<number>", "numTransactions": "<number>", "numNonVoteTransactions": "<number>", "numSlots": "<number>",
    "samplePeriodSecs": "<number>", "feature-set": "<number>", "featureSet": "<number>", "shredVersion": "<number>",
    "transactionIndex": "<number>", "recentSlot": "<slot>", "bumpSeed": "<number>",
}
# Methods whose whole answer is such a number.
NUMBER_ANSWERS = {
    "getSlot": "<slot>", "getBlockHeight": "<slot>", "getFirstAvailableBlock": "<slot>", "minimumLedgerSlot": "<slot>", "getBlockTime": "<time>",
    "getTransactionCount": "<number>", "getMaxRetransmitSlot": "<slot>", "getMaxShredInsertSlot": "<slot>",
}
HASHES = {"blockhash": "<hash>", "previousBlockhash": "<hash>", "recentBlockhash": "<hash>"}
WORDLESS = {-32700, -32600, -32602}  # errors of which the number alone counts


def decode58(text):
    number = 0
    for character in text:
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def program_address(program, *seeds):
    for bump in range(255, -1, -1):
        key = hashlib.sha256(b"".join(seeds) + bytes([bump]) + key_bytes(program) + b"ProgramDerivedAddress").digest()
        if not is_on_curve(key):
            return key, bump
    raise ValueError("no address")


class Node:
    """A node over HTTP and WebSocket."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.host, self.port = self.url.hostname, self.url.port or 80

    def http(self, verb="POST", path="/", headers=None, body=b""):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.putrequest(verb, path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), answer.read()
        finally:
            connection.close()

    def post(self, body):
        status, headers, answer = self.http(headers={"content-type": "application/json", "content-length": str(len(body))}, body=body)
        if status != 200:
            return {"http": status}
        return json.loads(answer) if answer else None

    def call(self, method, params):
        answer = self.post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
        return answer

    def get(self, method, *params):
        answer = self.call(method, list(params))
        if "result" not in answer:
            raise SystemExit(f"{method} {json.dumps(params)}: {answer}")
        return answer["result"]


class Socket:
    """A WebSocket, as much of it as a questionnaire needs."""

    def __init__(self, node):
        self.socket = socket.create_connection((node.host, node.port + 1), timeout=SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET / HTTP/1.1\r\nHost: {node.host}:{node.port + 1}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        self.socket.sendall(head.encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError(head.decode())

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = struct.pack("!B", 128 | len(data)) if len(data) < 126 else struct.pack("!BH", 254, len(data))
        self.socket.sendall(b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))

    def _take(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise OSError("closed")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive(self, seconds):
        """The next message; None where none comes."""
        deadline = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                first, second = self._take(2)
                length = second & 127
                if length == 126:
                    length = struct.unpack("!H", self._take(2))[0]
                elif length == 127:
                    length = struct.unpack("!Q", self._take(8))[0]
                data = self._take(length)
            except (TimeoutError, socket.timeout, OSError):
                return None
            if first & 15 == 1:
                return json.loads(data)
            if first & 15 == 9:
                self.socket.sendall(b"\x8a\x80" + os.urandom(4))

    def close(self):
        self.socket.close()


class Story:
    """Names for what is fresh, and the transactions of questions.json."""

    def __init__(self, node, words):
        self.node = node
        self.constants = words["names"]
        self.transactions = words["transactions"]
        self.values = dict(self.constants)  # name -> text
        self.wallets = {name: Wallet(os.urandom(32)) for name in words["wallets"]}
        self.values.update({name: wallet.address for name, wallet in self.wallets.items()})
        # The token program looks for an account's address until one fits; here the first one does, on every node.
        while self.associated_address()[1] != 255:
            self.wallets["mint"] = Wallet(os.urandom(32))
            self.values["mint"] = self.wallets["mint"].address
        self.slots = {}
        self.node_names()

    def node_names(self):
        self.values["node"] = self.node.get("getIdentity")["identity"]
        self.values["genesis"] = self.node.get("getGenesisHash")
        votes = self.node.get("getVoteAccounts")["current"]
        if votes:
            self.values["votes"] = votes[0]["votePubkey"]

    def derive(self):
        """Addresses that follow from others."""
        self.values["bobsTokens"] = base58(self.associated_address()[0])
        slot = self.node.get("getSlot", {"commitment": "finalized"})
        self.table_slot = slot
        table, self.table_bump = program_address(self.values["tables"], self.key("alice"), struct.pack("<Q", slot))
        self.values["table"] = base58(table)
        self.values["code"] = base58(program_address("BPFLoaderUpgradeab1e11111111111111111111111", key_bytes(self.values["memo"]))[0])

    def associated_address(self):
        return program_address(self.values["associated"], self.key("bob"), self.key("token"), self.key("mint"))

    def key(self, name):
        return key_bytes(self.values[name])

    def data(self, parts):
        """Bytes of an instruction: u8:1, u32:2, u64:3, text:…, hex:…, key:NAME, slot, bump."""
        out = b""
        for part in parts:
            kind, _, rest = part.partition(":")
            if kind in ("u8", "u16", "u32", "u64"):
                out += int(rest).to_bytes(int(kind[1:]) // 8, "little")
            elif kind == "text":
                out += rest.encode()
            elif kind == "hex":
                out += bytes.fromhex(rest)
            elif kind == "key":
                out += self.key(rest)
            elif kind == "slot":
                out += struct.pack("<Q", self.table_slot)
            elif kind == "bump":
                out += bytes([self.table_bump])
            elif kind == "ed25519":
                out += self.ed25519(rest)
            else:
                raise SystemExit(f"unknown data {part}")
        return out

    def ed25519(self, name):
        """An instruction's data for the program that checks signatures: one of a wallet under a text."""
        text = Plain.SIGNED
        signature = self.wallets[name].sign(text)
        here = 0xFFFF
        return struct.pack("<BBHHHHHHH", 1, 0, 16, here, 80, here, 112, len(text), here) + signature + self.key(name) + text

    def blockhash(self, kind):
        if kind == "unknown":
            return hashlib.sha256(b"no block").digest()
        if kind == "nonce":
            account = self.node.get("getAccountInfo", self.values["nonce"], {"encoding": "base64", "commitment": "confirmed"})
            return base64.b64decode(account["value"]["data"][0])[40:72]
        return key_bytes(self.node.get("getLatestBlockhash", {"commitment": "confirmed"})["value"]["blockhash"])

    def build(self, name):
        """A transaction of questions.json: its bytes."""
        words = self.transactions[name]
        payer = words.get("payer", "alice")
        flags = {self.key(payer): (True, True)}
        table = {self.key(key): place for place, key in enumerate(words.get("table", []))}
        instructions = []
        for one in words["instructions"]:
            accounts = []
            for account in one.get("accounts", []):
                key, _, kinds = account.partition(" ")
                accounts.append((self.key(key), "s" in kinds, "w" in kinds))
            program = self.key(one["program"])
            instructions.append((program, accounts, self.data(one.get("data", []))))
            for key, signs, writes in [*accounts, (program, False, False)]:
                if key in table and not signs:
                    continue
                before = flags.get(key, (False, False))
                flags[key] = (before[0] or signs, before[1] or writes)
        first = self.key(payer)
        keys = sorted(flags, key=lambda key: (key != first, not flags[key][0], not flags[key][1]))
        looked = [(key, place) for key, place in table.items() if any(key == account[0] for one in instructions for account in one[1])]
        writes = {key for one in instructions for key, _, is_writable in one[1] if is_writable}
        writable = [(key, place) for key, place in looked if key in writes]
        readonly = [(key, place) for key, place in looked if key not in writes]
        every = keys + [key for key, _ in writable] + [key for key, _ in readonly]
        signers = [key for key in keys if flags[key][0]]
        count = lambda *wanted: sum(flags[key] == wanted for key in keys)  # noqa: E731
        version = words.get("version", "legacy")
        message = bytes([len(signers), count(True, False), count(False, False)])
        hash_ = self.blockhash(words.get("blockhash", "recent"))
        if version == 1:
            message = self.version_one(message, hash_, every, instructions, words)
        else:
            message = (b"" if version == "legacy" else bytes([128 | version])) + message
            message += _length(len(keys)) + b"".join(keys) + hash_ + _length(len(instructions))
            for program, accounts, data in instructions:
                places = bytes(every.index(key) for key, _, _ in accounts)
                message += bytes([every.index(program)]) + _length(len(places)) + places + _length(len(data)) + data
            if version == 0:
                tables = [self.key("table")] if looked else []
                message += _length(len(tables))
                for key in tables:
                    for_writing, for_reading = bytes(place for _, place in writable), bytes(place for _, place in readonly)
                    message += key + _length(len(for_writing)) + for_writing + _length(len(for_reading)) + for_reading
        by_key = {wallet.key: wallet for wallet in self.wallets.values()}
        signatures = [by_key[key].sign(message) for key in signers]
        if words.get("signatures") == "none":
            signatures = [bytes(64) for _ in signatures]
        elif words.get("signatures") == "wrong":
            signatures = [by_key[key].sign(message + b"x") for key in signers]
        elif words.get("signatures") == "too few":
            signatures = signatures[1:]
        if version == 1:
            wire = message + b"".join(signatures)
        else:
            wire = _length(len(signatures)) + b"".join(signatures) + message
        wire += bytes.fromhex(words.get("behind", ""))
        if "cut" in words:
            wire = wire[: -words["cut"]]
        if signatures and f"slot.{name}" not in self.slots:
            self.values[f"signature.{name}"] = base58(signatures[0])
        self.values[f"wire.{name}"] = base64.b64encode(wire).decode()
        self.values[f"wire58.{name}"] = base58(wire)
        self.values[f"message.{name}"] = base64.b64encode(message).decode()
        return wire

    def version_one(self, header, hash_, keys, instructions, words):
        """SIMD-0385: version, header, mask of configured values, hash, counts, keys, values, instructions' heads, then their bytes."""
        config = words.get("config", {})
        mask, values = 0, b""
        if "fee" in config:
            mask |= 0b11
            values += struct.pack("<Q", config["fee"])
        if "units" in config:
            mask |= 0b100
            values += struct.pack("<I", config["units"])
        if "bytes" in config:
            mask |= 0b1000
            values += struct.pack("<I", config["bytes"])
        message = bytes([129]) + header + struct.pack("<I", mask) + hash_ + bytes([len(instructions), len(keys)]) + b"".join(keys) + values
        for program, accounts, data in instructions:
            message += struct.pack("<BBH", keys.index(program), len(accounts), len(data))
        for _, accounts, data in instructions:
            message += bytes(keys.index(key) for key, _, _ in accounts) + data
        return message

    def send(self, name, commitment="confirmed", skip=False):
        wire = base64.b64encode(self.build(name)).decode()
        signature = self.node.get("sendTransaction", wire, {"encoding": "base64", "skipPreflight": skip, "preflightCommitment": "confirmed"})
        self.wait([signature], commitment)
        self.slots[f"slot.{name}"] = self.node.get("getSignatureStatuses", [signature])["value"][0]["slot"]

    def wait(self, signatures, commitment):
        order = ["processed", "confirmed", "finalized"]
        deadline = time.monotonic() + SECONDS
        while True:
            statuses = self.node.get("getSignatureStatuses", signatures)["value"]
            if all(status and order.index(status["confirmationStatus"]) >= order.index(commitment) for status in statuses):
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"waited in vain until {signatures} are {commitment}: {statuses}")
            time.sleep(0.02)

    def airdrop(self, name, lamports):
        signature = self.node.get("requestAirdrop", self.values[name], lamports)
        self.wait([signature], "confirmed")
        self.values[f"signature.airdrop.{name}"] = signature

    def rent(self, space):
        return self.node.get("getMinimumBalanceForRentExemption", space)

    def fill(self, value):
        """A question's parameters with what names stand for."""
        if isinstance(value, dict):
            return {key: self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        if isinstance(value, str) and value.startswith("$"):
            name = value[1:]
            kind, _, rest = name.partition(".")
            if kind in ("wire", "wire58", "message") and rest in self.transactions:
                self.build(rest)
            if name in self.slots:
                return self.slots[name]
            if kind == "slot" and rest.lstrip("+-").isdigit():
                return self.node.get("getSlot", {"commitment": "finalized"}) + int(rest)
            if kind == "blockhash":
                return self.node.get("getLatestBlockhash")["value"]["blockhash"]
            if kind == "many":
                _, count, what = name.split(".")
                return [self.values[what]] * int(count)
            if kind == "long":
                return "1" * int(rest)
            if name not in self.values:
                raise SystemExit(f"{value} stands for nothing")
            return self.values[name]
        return value


class Plain:
    """Answers in words that two nodes can share."""

    def __init__(self, story):
        self.texts = {}
        for name, text in story.values.items():
            kind = name.split(".")[0]
            if kind not in ("wire", "wire58", "message"):
                self.texts[text] = text if name in story.constants else f"${name}"
        self.keys = {}
        for name, text in story.values.items():
            if "." not in name and len(decode58(text)) == 32:
                self.keys[key_bytes(text).hex()] = text if name in story.constants else f"${name}"
        self.known = {text for name, text in story.values.items() if name.startswith("signature.")}

    def text(self, text):
        def token(match):
            token = match.group(0)
            if token in self.texts:
                return self.texts[token]
            try:
                size = len(decode58(token))
            except ValueError:
                return token
            return {32: "<address>", 64: "<signature>"}.get(size, token)

        return re.sub(r"(?<![A-Za-z0-9+/=])[1-9A-HJ-NP-Za-km-z]{32,88}(?![A-Za-z0-9+/=])", token, text)

    def bytes(self, data):
        text = data.hex()
        for key, name in self.keys.items():
            if set(key) != {"0"}:
                text = text.replace(key, f"{{{name}}}")
        return text

    def value(self, value, name=None, parent=None):
        if isinstance(value, dict) and isinstance(value.get("code"), int) and "message" in value:
            return self.error(value)
        if isinstance(value, dict):
            told = {self.text(key): self.value(inner, key, name) for key, inner in value.items()}
            # What the program of lookup tables takes follows from the slot.
            if any("AddressLookupTab" in line for line in told.get("logMessages") or []):
                told["computeUnitsConsumed"] = told["costUnits"] = "<number>"
                told["logMessages"] = [re.sub(r"\d{3,}", "<number>", line) for line in told["logMessages"]]
            return told
        if isinstance(value, list):
            if len(value) == 2 and all(isinstance(part, str) for part in value) and value[1] in ("base64", "base58", "base64+zstd"):
                return ["<transaction>" if name == "transaction" else self.encoded(*value), value[1]]
            if name in ("transactions", "signatures") and parent == "result":
                value = [one for one in value if self.is_ours(one)]
            return [self.value(inner, None, name) for inner in value]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            return "<slot>" if (name, parent) == ("result", "params") else NUMBERS.get(name, value)
        if name in HASHES and re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{32,44}", value):
            return HASHES[name]
        if name == "transaction":
            return "<transaction>"
        if name in NUMBERS and value.isdigit():
            return NUMBERS[name]
        if name == "data":
            return self.encoded(value, "base58")
        return self.text(value)

    def error(self, error):
        kept = {"code": error.get("code")}
        if error.get("code") not in WORDLESS:
            kept["message"] = re.sub(r"\d{2,}", "<number>", self.text(error.get("message", "")))
            if "data" in error:
                kept["data"] = self.value(error["data"])
        return kept

    def is_ours(self, one):
        """Votes of the node and what others sent are no part of an answer."""
        return any(f'"{signature}"' in json.dumps(one) for signature in self.known) or (
            isinstance(one, dict) and isinstance(one.get("transaction"), list) and any(
                signature in base58(base64.b64decode(one["transaction"][0])[1:65]) for signature in self.known
            )
        )

    # What stands in an instruction with a fresh signature.
    SIGNED = b"the river took the mill"

    def encoded(self, text, encoding):
        try:
            if encoding == "base64":
                data = base64.b64decode(text, validate=True)
            elif encoding == "base58":
                data = decode58(text)
            else:
                return "<zstd>"
        except ValueError:
            return text
        return self.bytes(data) if len(data) < 700 and self.SIGNED not in data else f"<{len(data)} bytes>"

    def answer(self, method, answer):
        if not isinstance(answer, dict):
            return self.value(answer)
        if "error" in answer:
            return {"error": self.error(answer["error"])}
        if "result" in answer:
            result = answer["result"]
            if method in NUMBER_ANSWERS and isinstance(result, int) and not isinstance(result, bool):
                return {"result": NUMBER_ANSWERS[method]}
            if method in ("getBlocks", "getBlocksWithLimit") and isinstance(result, list):
                return {"result": f"<{len(result)} slots>"}
            if method in ("getSlotLeaders",) and isinstance(result, list):
                return {"result": {"count": len(result), "of": sorted({self.text(one) for one in result})}}
            if method == "getLeaderSchedule" and isinstance(result, dict):
                return {"result": {self.text(key): "<slots>" if value else [] for key, value in result.items()}}
            if method in ("getRecentPrioritizationFees", "getRecentPerformanceSamples") and isinstance(result, list):
                return {"result": [self.value(one) for one in result[:1]]}
            return {"result": self.value(result, "result")}
        return self.value(answer)


def http_question(node, words):
    """What a node says to a request that is written down byte for byte, but for its body's length."""
    body = words.get("body", "")
    if "repeat" in words:
        body = body * words["repeat"]
    body = body.encode()
    headers = dict(words.get("headers", {"content-type": "application/json"}))
    if "content-length" not in headers and "transfer-encoding" not in headers:
        headers["content-length"] = str(len(body))
    try:
        status, found, answer = node.http(words.get("verb", "POST"), words.get("path", "/"), headers, body)
    except (OSError, http.client.HTTPException):
        return {"status": "closed"}
    told = {"status": status}
    for name in words.get("tell", []):
        told[name] = found.get(name)
    text = answer.decode(errors="replace")
    try:
        told["body"] = json.loads(text)
    except ValueError:
        told["body"] = text.strip()
    return told


def websocket_question(story, words):
    """What is said to a subscription, and of what happens then."""
    socket_ = Socket(story.node)
    try:
        method = words["method"]
        if "body" in words:
            socket_.send(words["body"])
        else:
            socket_.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": story.fill(words.get("params", []))}))
        answer = socket_.receive(10)
        told = {"answer": answer}
        if answer and "result" in answer:
            number = answer["result"]
            if isinstance(number, int) and not isinstance(number, bool):
                told["answer"] = {"result": "<subscription>"}
            if "then" in words:
                wire = base64.b64encode(story.build(words["then"])).decode()
                options = {"encoding": "base64", "preflightCommitment": "confirmed", "skipPreflight": bool(words.get("skip"))}
                sent = story.node.call("sendTransaction", [wire, options])
                if "error" in sent:
                    told["sent"] = sent
            if words.get("notifications", 0):
                told["notifications"] = []
                for _ in range(words["notifications"]):
                    notification = socket_.receive(words.get("seconds", 30))
                    if notification and isinstance(notification.get("params"), dict):
                        notification["params"]["subscription"] = "<subscription>"
                    told["notifications"].append(notification)
            if "unsubscribe" in words:
                socket_.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": words["unsubscribe"], "params": [number]}))
                while True:
                    answer = socket_.receive(10)
                    if answer is None or "id" in answer:
                        break
                told["unsubscribed"] = answer
        return told
    finally:
        socket_.close()


def ask(node, words):
    """The story that was told, and all answers by question."""
    story = Story(node, words)
    answers = {}

    def tell(name, method, answer):
        if name in answers:
            raise SystemExit(f"{name} is asked twice")
        answers[name] = (method, answer)
        if time.monotonic() - tell.before > 4:
            print(f"… {time.monotonic() - tell.before:.0f} s: {name}", file=sys.stderr)
        tell.before = time.monotonic()

    tell.before = time.monotonic()
    for line in words["story"]:
        (kind, value), = line.items()
        if kind == "airdrop":
            story.airdrop(*value)
        elif kind == "derive":
            story.derive()
        elif kind == "rent":
            for name, space in value.items():
                story.slots[f"rent.{name}"] = story.rent(space)
        elif kind == "send":
            story.send(*value)
        elif kind == "wait":
            story.wait([story.values[f"signature.{name}"] for name in value["of"]], value["until"])
    for line in words["questions"]:
        (method, asked), = line.items()
        for params in asked:
            if method == "send":
                story.send(*params)
            elif method == "wait":
                story.wait([story.values[f"signature.{name}"] for name in params["of"]], params["until"])
            elif method == "raw":
                tell(f"raw {params['name']}", "raw", node.post(params["body"].encode()))
            elif method == "http":
                tell(f"http {params['name']}", "http", http_question(node, params))
            elif method == "websocket":
                tell(f"websocket {params['name']}", "websocket", websocket_question(story, params))
            else:
                tell(f"{method} {json.dumps(params, ensure_ascii=False)}", method, node.call(method, story.fill(params)))
    return story, answers


def shared(story, answers):
    """Answers in words that two nodes can share."""
    plain = Plain(story)
    return {name: plain.answer(method, answer) for name, (method, answer) in answers.items()}


# Compute units follow from features and keys, too: so many more or fewer are no difference.
UNITS = 40


def alike(recorded, found, name):
    if type(recorded) is not type(found):
        return False
    if name in ("computeUnitsConsumed", "costUnits", "unitsConsumed") and isinstance(found, int):
        return abs(recorded - found) < UNITS
    if isinstance(recorded, str) and "compute units" in recorded:
        number = re.compile(r"\d{2,}")
        numbers = list(zip(number.findall(recorded), number.findall(found)))
        return number.sub("", recorded) == number.sub("", found) and all(abs(int(a) - int(b)) < UNITS for a, b in numbers[-2:])
    return recorded == found


def differing(recorded, found, path=""):
    """Where two answers differ."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in sorted(set(recorded) | set(found)):
            inner = f"{path}.{key}" if path else key
            if key not in recorded:
                yield inner, "nothing", found[key]
            elif key not in found:
                yield inner, recorded[key], "nothing"
            else:
                yield from differing(recorded[key], found[key], inner)
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for index, (one, other) in enumerate(zip(recorded, found)):
            yield from differing(one, other, f"{path}[{index}]")
    elif not alike(recorded, found, path.rsplit(".", 1)[-1]):
        yield path, recorded, found


def matches(pattern, name, path):
    """A difference is meant where a pattern of differences.json fits it: a question, and after " : " where in its answer."""
    question, _, where = pattern.partition(" : ")
    plain = lambda text: text.replace("[", "[[]")  # noqa: E731
    return fnmatch.fnmatchcase(name, plain(question)) and (not where or fnmatch.fnmatchcase(path, plain(where)))


def compare(recorded, found, reasons):
    """Prints the table; whether every difference has a reason, and every reason a difference."""
    rows = {name: list(differing(answer, found.get(name, "not asked"))) for name, answer in recorded.items()}
    used, unexplained, by_reason = set(), [], {}
    for name, differences in rows.items():
        for path, one, other in differences:
            fitting = [(at, pattern) for at, reason in enumerate(reasons) for pattern in reason["where"] if matches(pattern, name, path)]
            used.update(fitting)
            if fitting:
                by_reason.setdefault(fitting[0][0], set()).add(name)
            else:
                unexplained.append((name, path, one, other))
    unknown = sorted(set(found) - set(recorded))
    methods = {}
    for name, differences in rows.items():
        row = methods.setdefault(name.split(" ")[0], [0, 0, 0])
        row[0] += 1
        row[1] += not differences
        row[2] += bool(differences)
    print(f"| {'asked':32} | questions | equal | differs |\n|{'-' * 34}|{'-' * 11}|{'-' * 7}|{'-' * 9}|")
    for method, (count, equal, differs) in methods.items():
        print(f"| {method:32} | {count:9} | {equal:5} | {differs:7} |")
    total = [sum(row[at] for row in methods.values()) for at in range(3)]
    print(f"| {'all':32} | {total[0]:9} | {total[1]:5} | {total[2]:7} |\n")
    for at, names in sorted(by_reason.items()):
        print(f"{len(names):3} differ: {reasons[at]['reason']}")
    for name, path, one, other in unexplained:
        print(f"UNEXPLAINED {name} : {path}\n    recorded {json.dumps(one)[:400]}\n    found    {json.dumps(other)[:400]}")
    for name in unknown:
        print(f"NOT RECORDED {name}")
    idle = [pattern for at, reason in enumerate(reasons) for pattern in reason["where"] if (at, pattern) not in used]
    for pattern in idle:
        print(f"NO DIFFERENCE ANY MORE {pattern}")
    return not (unexplained or unknown or idle)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--write", type=Path, help="record the answers in a file")
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="what to compare with [default: agave-4.2.2.json]")
    parser.add_argument("--no-differences", action="store_true", help="of another chain than sip localnet: no difference is meant, and none fails")
    parser.add_argument("--show", help="print the answers to the questions that fit")
    arguments = parser.parse_args()
    words = json.loads((HERE / "questions.json").read_text())
    node = Node(arguments.url)
    found = shared(*ask(node, words))
    if arguments.write:
        version = node.get("getVersion")
        with arguments.write.open("w") as file:
            file.write(json.dumps({"version": version}, ensure_ascii=False)[:-1] + ',\n"answers": {\n')
            lines = [f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in found.items()]
            file.write(",\n".join(lines) + "\n}}\n")
        print(f"{len(found)} answers of {json.dumps(version)} are in {arguments.write}")
        return 0
    recorded = json.loads(arguments.recorded.read_text())["answers"]
    if arguments.show:
        for name in found:
            if fnmatch.fnmatchcase(name, arguments.show.replace("[", "[[]")):
                print(f"{name}\n    recorded {json.dumps(recorded.get(name))}\n    found    {json.dumps(found[name])}")
        return 0
    reasons = json.loads((HERE / "differences.json").read_text())["differences"]
    if arguments.no_differences:
        compare(recorded, found, [])
        return 0
    return 0 if compare(recorded, found, reasons) else 1


if __name__ == "__main__":
    sys.exit(main())
