"""Glob patterns, byte for byte as Redis matches them (`stringmatchlen`).

`*` any bytes, `?` one, `[a-z]` and `[^a-z]` one of a set, a backslash takes the next byte as it
is. The oddities are kept, because clients can see them: an empty text is matched by an empty
pattern only, an unclosed set ends with the pattern, and bytes of a range compare as signed.

A pattern of many stars must not cost exponential time: when the rest of a pattern is found nowhere
in the rest of a text, no earlier star needs to try again. Nesting ends at 1000 stars.
"""

cdef enum:
    NESTING = 1000


cdef inline char at(const char* pattern, size_t size, size_t index) noexcept nogil:
    """Return a byte of the pattern, or the zero that follows the last one."""
    return pattern[index] if index < size else 0


cdef inline int lower(int byte) noexcept nogil:
    return byte + 32 if c'A' <= byte <= c'Z' else byte


cdef inline bint same(char one, char other, bint nocase) noexcept nogil:
    return lower(one) == lower(other) if nocase else one == other


cdef size_t match_set(
    const char* pattern, size_t size, char byte, bint nocase, bint* matched
) noexcept nogil:
    """Match one byte against the set after a `[`; return how many bytes of pattern it took.

    That is up to the closing `]`, not including it.
    """
    cdef size_t i = 0
    cdef bint negated = at(pattern, size, 0) == c'^'
    cdef int start, end, value
    matched[0] = False
    if negated:
        i = 1
    while True:
        if i + 2 <= size and pattern[i] == c'\\':
            i += 1
            if pattern[i] == byte:
                matched[0] = True
        elif at(pattern, size, i) == c']':
            break
        elif i == size:
            i -= 1                           # an unclosed set: its last byte closes it
            break
        elif i + 3 <= size and pattern[i + 1] == c'-':
            # signed on every machine, as where Redis was compared
            start, end = <signed char>pattern[i], <signed char>pattern[i + 2]
            value = <signed char>byte
            if start > end:
                start, end = end, start
            if nocase:
                start, end, value = lower(start), lower(end), lower(value)
            i += 2
            if start <= value <= end:
                matched[0] = True
        elif same(pattern[i], byte, nocase):
            matched[0] = True
        i += 1
    if negated:
        matched[0] = not matched[0]
    return i


cdef bint match(
    const char* pattern, size_t p, const char* text, size_t n, bint nocase, bint* hopeless,
    int nesting
) noexcept nogil:
    """Match the pattern against the text; `hopeless` tells the stars outside to stop trying."""
    cdef size_t taken
    cdef bint matched
    if nesting > NESTING:
        return False
    while p and n:
        if pattern[0] == c'*':
            while at(pattern, p, 1) == c'*':
                pattern += 1
                p -= 1
            if p == 1:
                return True
            while n:
                if match(pattern + 1, p - 1, text, n, nocase, hopeless, nesting + 1):
                    return True
                if hopeless[0]:
                    return False
                text += 1
                n -= 1
            hopeless[0] = True
            return False
        if pattern[0] == c'[':
            taken = match_set(pattern + 1, p - 1, text[0], nocase, &matched)
            if not matched:
                return False
            pattern += taken + 1
            p -= taken + 1
        elif pattern[0] != c'?':
            if pattern[0] == c'\\' and p >= 2:
                pattern += 1
                p -= 1
            if not same(pattern[0], text[0], nocase):
                return False
        text += 1
        n -= 1
        pattern += 1
        p -= 1
        if n == 0:
            while p and pattern[0] == c'*':
                pattern += 1
                p -= 1
            break
    return p == 0 and n == 0


cdef bint glob_match(
    const char* pattern, size_t pattern_size, const char* text, size_t size, bint nocase
) noexcept nogil:
    cdef bint hopeless = False
    return match(pattern, pattern_size, text, size, nocase, &hopeless, 0)


def matches(bytes pattern not None, bytes text not None, bint nocase=False):
    """Say whether the whole text matches the pattern."""
    return glob_match(pattern, len(pattern), text, len(text), nocase)
