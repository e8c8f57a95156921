"""The ids of streams: reading, writing and counting them. The header has the struct."""

from libc.string cimport memcpy, strchr

from spineldb.core.resp cimport out_bulk

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu


cdef bint increment(ID* id) noexcept nogil:
    if id.seq != LAST:
        id.seq += 1
    elif id.ms != LAST:
        id.ms += 1
        id.seq = 0
    else:
        return False
    return True


cdef bint decrement(ID* id) noexcept nogil:
    if id.seq:
        id.seq -= 1
    elif id.ms:
        id.ms -= 1
        id.seq = LAST
    else:
        return False
    return True


cdef bint parse_part(const char* text, uint64_t* value) noexcept nogil:
    """Read one number of an id as Redis does.

    What is no canonical integer goes through strtoull there, which takes blanks and a plus before
    the digits, zeros, and a minus that wraps around (but not before a canonical number).
    """
    cdef size_t i = 0
    cdef uint64_t v = 0
    cdef unsigned int digit
    cdef bint negative
    if text[0] == c"-" and 49 <= text[1] <= 57:
        return False
    while text[i] == c" " or 9 <= text[i] <= 13:
        i += 1
    negative = text[i] == c"-"
    if negative or text[i] == c"+":
        i += 1
    if text[i] == 0:
        return False
    while text[i]:
        digit = <unsigned int>(<unsigned char>text[i]) - 48
        if digit > 9 or v > LAST // 10 or (v == LAST // 10 and digit > LAST % 10):
            return False
        v = v * 10 + digit
        i += 1
    value[0] = 0 - v if negative else v
    return True


cdef bint parse_id(const char* text, size_t size, ID* id, uint64_t missing, bint strict,
                   bint* auto) noexcept nogil:
    cdef char[128] copy
    cdef char* dash
    cdef size_t i = 0
    cdef uint64_t value = 0
    if auto is not NULL:
        auto[0] = False
    if size == 0 or size > 127:
        return False
    if size == 1 and (text[0] == c"-" or text[0] == c"+"):
        if strict:
            return False
        id.ms = id.seq = 0 if text[0] == c"-" else LAST
        return True
    while i < size and 48 <= text[i] <= 57 and i < 19:
        value = value * 10 + <uint64_t>(text[i] - 48)
        i += 1
    if i == size and (text[0] != c"0" or size == 1):
        id.ms = value
        id.seq = missing
        return True
    memcpy(copy, text, size)
    copy[size] = 0
    dash = strchr(copy, c"-")
    if dash is not NULL:
        dash[0] = 0
    if not parse_part(copy, &id.ms):
        return False
    if dash is NULL:
        id.seq = missing
        return True
    if auto is not NULL and dash[1] == c"*" and dash[2] == 0:
        auto[0] = True
        id.seq = 0
        return True
    return parse_part(dash + 1, &id.seq)


cdef int put_number(char* text, uint64_t value) noexcept nogil:
    cdef char[20] digits
    cdef int n = 20
    while True:
        n -= 1
        digits[n] = <char>(48 + value % 10)
        value //= 10
        if value == 0:
            break
    memcpy(text, digits + n, <size_t>(20 - n))
    return 20 - n


cdef int format_id(char* text, const ID* id) noexcept nogil:
    cdef int n = put_number(text, id.ms)
    text[n] = c"-"
    return n + 1 + put_number(text + n + 1, id.seq)


cdef void out_id(Output* out, const ID* id) noexcept nogil:
    cdef char[ID_TEXT] text
    out_bulk(out, text, <size_t>format_id(text, id))
