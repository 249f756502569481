"""Proof-of-Training as docs/spec says it, one module for each of its pages."""


class Malformed(Exception):
    pass


def require(condition, what="the payload is wrong"):
    if not condition:
        raise Malformed(what)
