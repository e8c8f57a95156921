"""What must not be shown: passwords in the arguments of commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REDACTED = b"(redacted)"
#: The commands that may carry a password; the arguments of all others are shown as they are.
CONFIDING = frozenset([b"auth", b"acl", b"config", b"hello", b"migrate"])


def redacted(argv: Sequence[bytes], hides: Callable[[bytes], bool]) -> list[bytes]:
    """Return a request's arguments with every secret replaced.

    `hides` tells whether a configuration parameter's value is secret.
    """
    if argv and argv[0].lower() not in CONFIDING:
        return list(argv)
    shown = list(argv)
    match [word.lower() for word in argv[:2]]:
        case [b"auth", *_]:
            shown[1:] = [REDACTED] * (len(argv) - 1)
        case [b"acl", b"setuser"] | [b"acl", b"deluser"]:
            shown[2:] = [REDACTED] * (len(argv) - 2)
        case [b"config", b"set"]:
            shown[2:] = _config(argv[2:], hides)
        case [b"hello", *_]:
            shown = _after(argv, b"auth", 2)
        case [b"migrate", *_]:
            shown = _after(_after(argv, b"auth", 1), b"auth2", 2)
        case _:
            pass
    return shown


def _config(pairs: Sequence[bytes], hides: Callable[[bytes], bool]) -> list[bytes]:
    shown = list(pairs)
    for name in range(0, len(pairs) - 1, 2):
        if hides(pairs[name]):
            shown[name + 1] = REDACTED
    return shown


def _after(argv: Sequence[bytes], word: bytes, count: int) -> list[bytes]:
    """Replace the `count` arguments behind each occurrence of an option."""
    shown = list(argv)
    for position, argument in enumerate(argv):
        if position and argument.lower() == word:
            for behind in range(position + 1, min(position + 1 + count, len(shown))):
                shown[behind] = REDACTED
    return shown
