"""A port that no other process takes between the look at it and its use."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

PORTS = range(21_000, 22_000)
"""Below those that a kernel gives to whoever asks for any (Linux: from 32768 on; others: from 49152 on)."""


@contextmanager
def free_port() -> Iterator[int]:
    """A TCP port of the loopback address. No other such block gets it meanwhile, in this process or in another: a block
    holds the UDP port of the same number."""
    for port in PORTS:
        with socket.socket(type=socket.SOCK_DGRAM) as claim, socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that fade are no use
            if _binds(claim, port) and _binds(probe, port):
                probe.close()
                yield port
                return
    raise AssertionError(f"no port of {PORTS} is free")


def _binds(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
