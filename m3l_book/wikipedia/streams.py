"""Large files read in one pass, in memory that does not grow with them, whatever is broken."""

import bz2
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from m3l.errors import DataError

BLOCK, PACKED = 1 << 20, 1 << 18
LONGEST = 64 << 20
"""A line, or an article, of more bytes is left out."""

CUT = "files that end in the middle"
LONG = "lines longer than 64 MiB"


def blocks(path: str | Path, counts: Counter) -> Iterator[bytes]:
    """The content of a file, plain or packed by gzip or bzip2 (known by its first bytes), in blocks
    of at most a MiB.

    What is broken ends it: ``counts`` gets `CUT`, and what came before stands.

    Raises
    ------
    DataError
        There is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with open(path, "rb") as file:
        start = file.peek(3)[:3]
        if start[:2] == b"\x1f\x8b":
            yield from _unpacked(file, _Gzip, counts)
        elif start == b"BZh":
            yield from _unpacked(file, bz2.BZ2Decompressor, counts)
        else:
            while block := file.read(BLOCK):
                yield block


class _Gzip:
    """zlib's decompressor for a member of a gzip file, with the manners of bz2's."""

    def __init__(self):
        self._packed = zlib.decompressobj(wbits=31)

    eof = property(lambda self: self._packed.eof)
    unused_data = property(lambda self: self._packed.unused_data)
    needs_input = property(lambda self: not self._packed.unconsumed_tail)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._packed.decompress(self._packed.unconsumed_tail + data, most)


def _unpacked(file: BinaryIO, make: Callable, counts: Counter) -> Iterator[bytes]:
    """What a packed file holds: members one after the other, as both formats allow."""
    member, data = make(), file.read(PACKED)
    while data or not member.needs_input:
        try:
            block = member.decompress(data, BLOCK)
        except (OSError, EOFError, ValueError, zlib.error):
            counts[CUT] += 1
            return
        if block:
            yield block
        data = b""
        if member.eof:
            data = member.unused_data.lstrip(b"\0") or file.read(PACKED)
            if not data:
                return
            member = make()
        elif member.needs_input:
            data = file.read(PACKED)
    counts[CUT] += 1  # the file ends, its member does not


def lines(path: str | Path, counts: Counter) -> Iterator[bytes]:
    """The lines of a file, without their ends; `LONG` counts those that are left out."""
    rest, skipping = b"", False
    for block in blocks(path, counts):
        first, *others = block.split(b"\n")
        rest += first
        if len(rest) > LONGEST:
            rest, skipping = b"", True
        if not others:
            continue
        if skipping:
            counts[LONG] += 1
        else:
            yield rest
        skipping = False
        yield from others[:-1]
        rest = others[-1]
    if skipping:
        counts[LONG] += 1
    elif rest:
        yield rest
