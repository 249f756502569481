#!/usr/bin/env python3
"""A peer by docs/spec/wire.md alone, with nothing but the standard library.

    python3 vectors/peer.py serve FOLDER                        serves the files of a folder, and a list of them in the order of
                                                                their names; prints its address, then the list's root
    python3 vectors/peer.py get ADDRESS HASH BYTES FIRST COUNT  asks a peer for groups of a blob, checks them, prints them as hexadecimal text
"""

import http.client
import re
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from spec.commitments import chunk_value, merkle_root, parent_value

GROUP, FRAME, CHUNK = 16384, 64, 1024
GREETING = struct.pack("<8sHHIIIII", b"sip-net\0", 1, 1, GROUP, 512, 512, 65536, 0)


def halves(start, count):
    left = 1 << (count - 1).bit_length() - 1
    return (start, left), (start + left, count - left)


def value(data, start, count, all_count):
    """The value of `count` units from the unit `start` on, in a tree of `all_count`; data are the bytes of these, 1 KiB each."""
    if count == 1:
        return chunk_value(data, start, all_count == 1)
    left, right = halves(start, count)
    cut = left[1] * CHUNK
    return parent_value(value(data[:cut], *left, all_count), value(data[cut:], *right, all_count), count == all_count)


def group_value(data, group, groups):
    chunks = max(1, -(-len(data) // CHUNK))
    return value(data, group * 16, chunks, chunks if groups == 1 else 0)


def opening(groups, first, end):
    """The largest nodes outside of a range."""

    def walk(start, count):
        if end <= start or start + count <= first:
            return [(start, count)]
        if first <= start and start + count <= end:
            return []
        left, right = halves(start, count)
        return walk(*left) + walk(*right)

    return walk(0, groups)


def frames(first, count):
    while count:
        part = min(count, FRAME - first % FRAME)
        yield first, first + part
        first, count = first + part, count - part


class Blob:
    def __init__(self, data):
        self.data, self.groups = data, max(1, -(-len(data) // GROUP))
        self.values = [group_value(self.part(g, g + 1), g, self.groups) for g in range(self.groups)]
        self.root = self.node(0, self.groups)

    def part(self, first, end):
        return self.data[first * GROUP : end * GROUP]

    def node(self, start, count):
        if count == 1:
            return self.values[start]
        left, right = halves(start, count)
        return parent_value(self.node(*left), self.node(*right), count == self.groups)

    def answer(self, first, count):
        parts = (b"".join(self.node(*n) for n in opening(self.groups, a, b)) + self.part(a, b) for a, b in frames(first, count))
        return b"".join(parts)


def checked(root, size, first, count, answer):
    """The bytes of an answer, if each of its frames stands under the root."""
    groups, found = max(1, -(-size // GROUP)), b""
    for a, b in frames(first, count):
        given = {}
        for node in opening(groups, a, b):
            given[node], answer = answer[:32], answer[32:]
        length = min(b * GROUP, size) - a * GROUP
        data, answer = answer[:length], answer[length:]

        def node(start, count):
            if (start, count) in given:
                return given[start, count]
            if count == 1:
                at = (start - a) * GROUP
                return group_value(data[at : at + GROUP], start, groups)
            left, right = halves(start, count)
            return parent_value(node(*left), node(*right), count == groups)

        if node(0, groups) != root:
            raise SystemExit(f"groups {a} to {b - 1} do not stand under the root")
        found += data
    if answer:
        raise SystemExit("there is more than was asked for")
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    blobs, lists = {}, {}

    def log_message(self, *_):
        pass

    def say(self, status, body):
        self.send_response(status)
        self.send_header("sip-net", "1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        roots = [body[at : at + 32] for at in range(0, len(body), 32)]
        self.say(200, bytes(2 * (root in self.blobs or root in self.lists) for root in roots))

    def do_GET(self):
        if self.path == "/sip/hello":
            return self.say(200, GREETING)
        if asked := re.fullmatch(r"/sip/1/list/([0-9a-f]{64})/(\d+)", self.path):
            entries = self.lists.get(bytes.fromhex(asked[1]), [])
            if len(entries) == int(asked[2]):
                return self.say(200, b"".join(entries))
        if asked := re.fullmatch(r"/sip/1/blob/([0-9a-f]{64})/(\d+)/(\d+)/(\d+)", self.path):
            blob, (size, first, count) = self.blobs.get(bytes.fromhex(asked[1])), map(int, asked.groups()[1:])
            if blob and len(blob.data) == size and 1 <= count <= 512 and first + count <= blob.groups:
                return self.say(200, blob.answer(first, count))
        self.say(404, b"not here")


def serve(folder):
    found = [Blob(path.read_bytes()) for path in sorted(Path(folder).iterdir())]
    Handler.blobs = {blob.root: blob for blob in found}
    root = merkle_root([blob.root for blob in found])
    Handler.lists = {root: [blob.root for blob in found]}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("127.0.0.1:%d" % server.server_port, root.hex(), sep="\n", flush=True)
    server.serve_forever()


def get(address, root, size, first, count):
    connection = http.client.HTTPConnection(address, timeout=30)

    def ask(method, path, body=None):
        connection.request(method, path, body)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200 or answer.headers["sip-net"] is None:
            raise SystemExit(f"{path}: {answer.status} {content[:100]}")
        return content

    magic, least, greatest = struct.unpack("<8sHH", ask("GET", "/sip/hello")[:12])
    if magic != b"sip-net\0" or not least <= 1 <= greatest:
        raise SystemExit("no peer of version 1")
    has = ask("POST", "/sip/1/have", bytes.fromhex(root))
    if has == b"\0":
        raise SystemExit("it has not got it")
    answer = ask("GET", f"/sip/1/blob/{root}/{size}/{first}/{count}")
    print(checked(bytes.fromhex(root), int(size), int(first), int(count), answer).hex())


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "serve":
        serve(sys.argv[2])
    elif len(sys.argv) == 7 and sys.argv[1] == "get":
        get(*sys.argv[2:])
    else:
        raise SystemExit(__doc__)
