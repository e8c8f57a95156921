"""RESP as bytes: requests written, streams of replies cut into replies, each checked.

Written apart from `spineldb.client` and the core on purpose: what judges them shares no code with
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from spineldb.client import INCOMPLETE, Decoder

ERROR = re.compile(rb"-[A-Z]+ ")
SCALARS = b"+-:_,#("
BULKS = b"$=!"
ARRAYS = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}


class Fault(AssertionError):
    """The server did what it promises never to do."""


def encoded(request: Sequence[bytes]) -> bytes:
    """Return a request as RESP."""
    return b"".join(
        [b"*%d\r\n" % len(request), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in request)]
    )


def pipeline(requests: Iterable[Sequence[bytes]]) -> bytes:
    """Return requests as RESP, one behind the other."""
    return b"".join(encoded(request) for request in requests)


def reply_end(data: bytes, at: int) -> int:
    """Return where the reply that begins at `at` ends, -1 if it is not all there."""
    missing = 1
    while missing:
        end = data.find(b"\r\n", at)
        if end < 0:
            return -1
        kind = data[at]
        if kind in BULKS:
            size = int(data[at + 1 : end])
            end += 2 + size if size >= 0 else 0
            if data[end : end + 2] != b"\r\n":
                if len(data) >= end + 2:
                    raise Fault(f"a string longer than it says: {data[at : at + 40]!r}")
                return -1
        elif kind in ARRAYS:
            missing += max(int(data[at + 1 : end]), 0) * ARRAYS[kind]
        elif kind not in SCALARS:
            raise Fault(f"no reply: {data[at : at + 40]!r}")
        at = end + 2
        missing -= 1
    return at


def split_replies(data: bytes) -> list[bytes]:
    """Return the replies in a stream; raise `Fault` if it ends within one."""
    replies: list[bytes] = []
    at = 0
    while at < len(data):
        end = reply_end(data, at)
        if end < 0:
            raise Fault(f"a reply has no end: {data[at:][:100]!r}")
        replies.append(data[at:end])
        at = end
    return replies


def check_reply(reply: bytes) -> None:
    """Raise `Fault` if it is an error without an upper-case code in front."""
    if reply.startswith(b"-") and not ERROR.match(reply):
        raise Fault(f"an error without a code: {reply!r}")


def value(reply: bytes) -> Any:
    """Return a reply as `spineldb.client` reads it, an error as `ErrorReply`."""
    decoder = Decoder()
    decoder.feed(reply)
    read = decoder.next()
    assert read is not INCOMPLETE
    return read


def same_numbers(one: Any, other: Any) -> bool:
    """Tell whether two values say the same, whichever digits a double is written with.

    Redis's are those of Grisu2 (Loitsch, 2010), which now and then are not the shortest. And minus
    zero is zero.
    """
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_numbers, one, other))
    if one == other or not isinstance(one, bytes) or not isinstance(other, bytes):
        return bool(one == other)
    try:
        return float(one) == float(other)
    except ValueError:
        return False
