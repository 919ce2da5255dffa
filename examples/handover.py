#!/usr/bin/env python3
"""Hands one block to a running broadside through shared memory, and prints the verdict and times.

    examples/handover.py SOCKET FILE [CHAIN]

FILE holds the raw block; - is standard input. Exit: 0 accepted, 1 refused, 2 not judged.
Python 3.10 or newer, standard library only. include/broadside.h and docs/shared-memory.md explain
the memory. For x86-64: there, stores are seen in the order in which they were made. Python has no
fence for machines where they are not (arm64); use the C header there.
"""

import mmap
import os
import platform
import select
import socket
import struct
import sys
import time

VERSION = 1
HEADER_BYTES = 4096
CAPACITY_BYTES = 4_000_000
PIECE_BYTES = 128 * 1024
# Offsets: written by the pool.
SEQUENCE, RUNG_SEQUENCE, WRITTEN_BYTES, TOTAL_BYTES, BEGUN_NS, RUNG_NS = 64, 68, 72, 80, 88, 96
# Written by the engine.
ANSWERED_SEQUENCE, RESULT, HASH, WORD, MESSAGE, END = 192, 196, 256, 328, 384, 640
ACCEPTED, BLOCK_REFUSED = 1, 2
PATIENCE_S = 60


class Refused(Exception):
    """The engine does not want to, or ended the session."""


class Session:
    """One session: one block at a time."""

    def __init__(self, path, chain=""):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(path)
        name = chain.encode()
        self.socket.sendall(b"BSM1" + struct.pack("<B", len(name)) + name)
        reply, descriptors, _, _ = socket.recv_fds(self.socket, 16, 3)
        length = self._granted(reply)
        if len(descriptors) != 3:
            raise Refused("the reply came without its descriptors")
        memory, self.ring_descriptor, self.bell = descriptors
        self.memory = mmap.mmap(memory, length)
        os.close(memory)
        if self.memory[:8] != b"BSSHARED" or struct.unpack_from("<I", self.memory, 8)[0] != VERSION:
            raise Refused("the engine is of another version")
        # An aligned number is stored at once through these, never byte by byte.
        view = memoryview(self.memory)[:HEADER_BYTES]
        self.u32, self.u64 = view.cast("I"), view.cast("Q")
        self.sequence = 0

    def _granted(self, reply):
        while len(reply) < 16:
            more = self.socket.recv(16 - len(reply))
            if not more:
                raise Refused("the engine is gone")
            reply += more
        magic, version, status, length = struct.unpack("<4sIII", reply)
        if magic != b"BSM1" or version != VERSION:
            raise Refused("the engine is of another version")
        if status != 0:
            raise Refused(self.socket.recv(length, socket.MSG_WAITALL).decode())
        return length

    def _poke(self):
        # Always: without a fence we can't know whether the engine is about to sleep.
        os.eventfd_write(self.ring_descriptor, 1)

    def begin(self, announced=0):
        """Begins a block. It may be long before its first byte."""
        self.sequence += 1
        self.u64[WRITTEN_BYTES // 8] = 0
        self.u64[TOTAL_BYTES // 8] = announced
        self.u64[BEGUN_NS // 8] = time.monotonic_ns()
        self.u32[SEQUENCE // 4] = self.sequence
        self._poke()

    def write(self, piece):
        """Appends a piece of the raw block."""
        at = self.u64[WRITTEN_BYTES // 8]
        if at + len(piece) > CAPACITY_BYTES:
            raise Refused("the block is longer than any chain allows")
        self.memory[HEADER_BYTES + at : HEADER_BYTES + at + len(piece)] = piece
        self.u64[WRITTEN_BYTES // 8] = at + len(piece)
        self._poke()

    def ring(self):
        """The block is complete: it goes out."""
        self.u64[TOTAL_BYTES // 8] = self.u64[WRITTEN_BYTES // 8]
        self.u64[RUNG_NS // 8] = time.monotonic_ns()
        self.u32[RUNG_SEQUENCE // 4] = self.sequence
        self._poke()

    def result(self):
        """Waits for the result: a dictionary."""
        watched = select.poll()
        watched.register(self.bell, select.POLLIN)
        watched.register(self.socket, select.POLLIN)
        until = time.monotonic() + PATIENCE_S
        ended = False
        while self.u32[ANSWERED_SEQUENCE // 4] != self.sequence:
            if ended:
                self._granted(b"")  # says why
            left = until - time.monotonic()
            if left <= 0:
                raise Refused(f"no answer within {PATIENCE_S} s")
            ready = dict(watched.poll(left * 1000))
            ended = self.socket.fileno() in ready
            if self.bell in ready:
                os.eventfd_read(self.bell)
        names = ("verdict", "first_byte", "last_byte", "taken", "published", "answered", "image")
        result = dict(zip(names, struct.unpack_from("<I6Q", self.memory, RESULT)))
        for name, start, end in (("hash", HASH, WORD), ("word", WORD, MESSAGE), ("message", MESSAGE, END)):
            result[name] = self.memory[start:end].split(b"\0")[0].decode()
        return result


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: handover.py SOCKET FILE [CHAIN]")
    if platform.machine() not in ("x86_64", "i686"):
        sys.exit(f"{platform.machine()}: Python can't order its stores here; use include/broadside.h")
    file = sys.stdin.buffer if sys.argv[2] == "-" else open(sys.argv[2], "rb")
    session = Session(sys.argv[1], *sys.argv[3:])
    session.begin()
    while piece := file.read(PIECE_BYTES):
        session.write(piece)
    session.ring()
    rung = session.u64[RUNG_NS // 8]
    result = session.result()
    print("block     ", result["hash"])
    print("verdict   ", result["verdict"], result["word"])
    if result["message"]:
        print("message   ", result["message"])
    for stage in ("taken", "published", "answered"):
        at = result[stage]
        print(f"{stage:10}", f"{(at - rung) / 1000:+.1f} us from the ring" if at else "-")
    return {ACCEPTED: 0, BLOCK_REFUSED: 1}.get(result["verdict"], 2)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
