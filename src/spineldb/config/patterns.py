"""Match parameter names against the globs of CONFIG GET, byte by byte as Redis does."""

from __future__ import annotations


def is_pattern(pattern: bytes) -> bool:
    """Whether CONFIG GET searches with this argument; without these characters it is a name."""
    return any(character in pattern for character in b"*?[")


def matches(pattern: bytes, name: bytes) -> bool:
    r"""Whether all of `name` fits `pattern` (`*`, `?`, `[a-z]`, `[^a]`, `\x`), in any case."""
    return _match(pattern.lower(), 0, name.lower(), 0)


def _match(pattern: bytes, p: int, name: bytes, n: int) -> bool:
    while p < len(pattern):
        if pattern[p] == ord("*"):
            while p < len(pattern) and pattern[p] == ord("*"):
                p += 1
            rests = range(n, len(name) + 1)
            return p == len(pattern) or any(_match(pattern, p, name, rest) for rest in rests)
        if n == len(name):
            return False
        p, fits = _one(pattern, p, name[n])
        if not fits:
            return False
        n += 1
    return n == len(name)


def _one(pattern: bytes, p: int, byte: int) -> tuple[int, bool]:
    """Compare one byte with the element at `p`; return where the next begins, and whether."""
    if pattern[p] == ord("?"):
        return p + 1, True
    if pattern[p] == ord("["):
        return _one_of(pattern, p + 1, byte)
    if pattern[p] == ord("\\") and p + 1 < len(pattern):
        p += 1
    return p + 1, pattern[p] == byte


def _one_of(pattern: bytes, p: int, byte: int) -> tuple[int, bool]:
    negated = pattern[p : p + 1] == b"^"
    p += negated
    found = False
    while p < len(pattern) and pattern[p] != ord("]"):
        if pattern[p] == ord("\\") and p + 1 < len(pattern):
            p += 1
            low = high = pattern[p]
        elif pattern[p + 1 : p + 2] == b"-" and p + 2 < len(pattern):
            low, high = sorted((pattern[p], pattern[p + 2]))
            p += 2
        else:
            low = high = pattern[p]
        found = found or low <= byte <= high
        p += 1
    return p + 1, found != negated
