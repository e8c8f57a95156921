"""`struct` for scripts: binary records, after Roberto Ierusalimschy's library of that name.

A format is a row of letters: `b h i l` and their unsigned capitals, `T` (size_t), `i5` an integer
of so many bytes; `f d`; `x` a zero byte; `c10` characters, `c0` as many as the number before says;
`s` up to a zero byte; `<` and `>` set the byte order, `!8` the alignment.
"""

from libc.limits cimport INT_MAX
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcpy

from spineldb.core.lua_api cimport (
    LUA_TNIL, lua, pop, push_function, raise_text, raw_setfield,
)
from spineldb.core.lua_host cimport Host, host, text_put, text_room, text_trim

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define SPINEL_LITTLE 0
    #else
    #define SPINEL_LITTLE 1
    #endif
    """
    bint SPINEL_LITTLE

cdef enum:
    LONGEST_INTEGER = 32
    WIDEST_ALIGNMENT = 8


# as many as the widest padding
cdef const char* ZEROES = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


cdef struct Format:
    const char* at
    bint little
    size_t align


cdef inline bint is_digit(char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef size_t number_or(lua_State* L, Format* format, size_t otherwise) noexcept nogil:
    cdef int64_t n = 0
    if not is_digit(format.at[0]):
        return otherwise
    while is_digit(format.at[0]):
        n = n * 10 + (format.at[0] - c"0")
        if n > INT_MAX:
            raise_text(L, b"integral size overflow")
        format.at += 1
    return <size_t>n


cdef size_t option_size(lua_State* L, char option, Format* format) noexcept nogil:
    cdef size_t size
    cdef char[80] message
    if option == c"b" or option == c"B" or option == c"x":
        return 1
    if option == c"h" or option == c"H":
        return sizeof(short)
    if option == c"l" or option == c"L":
        return sizeof(long)
    if option == c"T":
        return sizeof(size_t)
    if option == c"f":
        return sizeof(float)
    if option == c"d":
        return sizeof(double)
    if option == c"c":
        return number_or(L, format, 1)
    if option == c"i" or option == c"I":
        size = number_or(L, format, sizeof(int))
        if size > LONGEST_INTEGER:
            snprintf(message, sizeof(message), b"integral size %d is larger than limit of %d",
                     <int>size, <int>LONGEST_INTEGER)
            raise_text(L, message)
        return size
    return 0


cdef inline size_t padding(size_t at, const Format* format, char option,
                           size_t size) noexcept nogil:
    if size == 0 or option == c"c":
        return 0
    if size > format.align:
        size = format.align
    return (size - (at & (size - 1))) & (size - 1)


cdef void control(lua_State* L, char option, Format* format) noexcept nogil:
    """Follow an option that stands for no data."""
    cdef char[80] message
    cdef size_t n
    if option == c" ":
        return
    if option == c"<" or option == c">":
        format.little = option == c"<"
    elif option == c"!":
        n = number_or(L, format, WIDEST_ALIGNMENT)
        if n == 0 or n & (n - 1):
            snprintf(message, sizeof(message), b"alignment %d is not a power of 2", <int>n)
            raise_text(L, message)
        format.align = n
    else:
        snprintf(message, sizeof(message), b"invalid format option '%c'", option)
        lua.L_argerror(L, 1, message)


cdef inline bint is_integer(char option) noexcept nogil:
    return memchr(b"bBhHiIlLT", option, 9) is not NULL


cdef inline void begin(lua_State* L, Format* format) noexcept nogil:
    format.at = lua.L_checklstring(L, 1, NULL)
    format.little = SPINEL_LITTLE
    format.align = 1


# ---------------------------------------------------------------- pack

cdef uint64_t bits_of(double number) noexcept nogil:
    """The two's complement of a number, cut to an integer, as x86-64 computes it."""
    if number != number or number < -9223372036854775808.0:
        return <uint64_t>1 << 63
    if number < 0:
        return <uint64_t><int64_t>number
    if number < 18446744073709551616.0:
        return <uint64_t>number
    return 0


cdef void put_integer(lua_State* L, Host* host_, double number, const Format* format,
                      size_t size) noexcept nogil:
    cdef uint64_t bits = bits_of(number)
    cdef char* to = text_room(L, &host_.text, LONGEST_INTEGER)
    cdef size_t i
    for i in range(size):
        to[i if format.little else size - 1 - i] = <char>(bits & 255)
        bits >>= 8
    host_.text.used += size


cdef void put_bytes(lua_State* L, Host* host_, const uint8_t* native, size_t size,
                    const Format* format) noexcept nogil:
    cdef char* to = text_room(L, &host_.text, size)
    cdef size_t i
    for i in range(size):
        to[i] = <char>native[i if format.little == SPINEL_LITTLE else size - 1 - i]
    host_.text.used += size


cdef int struct_pack(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef Format format
    cdef int argument = 2
    cdef char option
    cdef size_t size, length, skip
    cdef const char* data
    cdef double number = 0
    cdef float single = 0
    begin(L, &format)
    lua.pushnil(L)                           # a missing argument is nil
    host_.text.used = 0
    while format.at[0] != 0:
        option = format.at[0]
        format.at += 1
        size = option_size(L, option, &format)
        skip = padding(host_.text.used, &format, option, size)
        text_put(L, &host_.text, ZEROES, skip)
        if is_integer(option):
            put_integer(L, host_, lua.L_checknumber(L, argument), &format, size)
            argument += 1
        elif option == c"x":
            text_put(L, &host_.text, b"\0", 1)
        elif option == c"f":
            single = <float>lua.L_checknumber(L, argument)
            put_bytes(L, host_, <const uint8_t*>&single, size, &format)
            argument += 1
        elif option == c"d":
            number = lua.L_checknumber(L, argument)
            put_bytes(L, host_, <const uint8_t*>&number, size, &format)
            argument += 1
        elif option == c"c" or option == c"s":
            data = lua.L_checklstring(L, argument, &length)
            argument += 1
            if size == 0:
                size = length
            if length < size:
                lua.L_argerror(L, argument, b"string too short")
            text_put(L, &host_.text, data, size)
            if option == c"s":
                text_put(L, &host_.text, b"\0", 1)
        else:
            control(L, option, &format)
    lua.pushlstring(L, text_room(L, &host_.text, 1) - host_.text.used, host_.text.used)
    text_trim(host_)
    return 1


# ---------------------------------------------------------------- unpack

cdef double get_integer(const uint8_t* data, size_t size, bint little,
                        bint signed_) noexcept nogil:
    cdef uint64_t bits = 0, mask
    cdef size_t i
    for i in range(size):
        bits = bits << 8 | data[size - 1 - i if little else i]
    if not signed_:
        return <double>bits
    mask = ~<uint64_t>0 << ((size * 8 - 1) & 63)
    if bits & mask:
        bits |= mask
    return <double><int64_t>bits


cdef double get_float(const char* data, size_t size, const Format* format) noexcept nogil:
    cdef char[8] native
    cdef double number
    cdef float single
    cdef size_t i
    for i in range(size):
        native[i] = data[i if format.little == SPINEL_LITTLE else size - 1 - i]
    if size == sizeof(float):
        memcpy(&single, native, size)
        return single
    memcpy(&number, native, size)
    return number


cdef inline void need(lua_State* L, size_t at, size_t size, size_t length) noexcept nogil:
    if size > length or at > length - size:
        lua.L_argerror(L, 2, b"data string too short")


cdef size_t counted(lua_State* L, int results) noexcept nogil:
    """The size that the result before states, which is taken off the stack."""
    cdef double size
    if results == 0 or not lua.isnumber(L, -1):
        raise_text(L, b"format 'c0' needs a previous size")
    size = lua.tonumber(L, -1)
    pop(L, 1)
    return <size_t>size if 0 <= size < 9.0e15 else <size_t>-1


cdef int struct_unpack(lua_State* L) noexcept nogil:
    cdef Format format
    cdef char option
    cdef size_t size, length, at
    cdef int results = 0
    cdef const char* data
    cdef const char* end
    cdef ptrdiff_t offset = 1
    begin(L, &format)
    data = lua.L_checklstring(L, 2, &length)
    if lua.type(L, 3) > LUA_TNIL:
        offset = lua.L_checkinteger(L, 3)
    if offset == 0:
        lua.L_argerror(L, 3, b"offset must be 1 or greater")
    at = <size_t>offset - 1
    while format.at[0] != 0:
        option = format.at[0]
        format.at += 1
        size = option_size(L, option, &format)
        at += padding(at, &format, option, size)
        need(L, at, size, length)
        lua.L_checkstack(L, 2, b"too many results")
        if is_integer(option):
            lua.pushnumber(L, get_integer(<const uint8_t*>data + at, size, format.little,
                                          option >= c"a"))
            results += 1
        elif option == c"f" or option == c"d":
            lua.pushnumber(L, get_float(data + at, size, &format))
            results += 1
        elif option == c"c":
            if size == 0:
                size = counted(L, results)
                results -= 1
                need(L, at, size, length)
            lua.pushlstring(L, data + at, size)
            results += 1
        elif option == c"s":
            end = <const char*>memchr(data + at, 0, length - at)
            if end is NULL:
                raise_text(L, b"unfinished string in data")
            size = <size_t>(end - (data + at)) + 1
            lua.pushlstring(L, data + at, size - 1)
            results += 1
        elif option != c"x":
            control(L, option, &format)
        at += size
    lua.pushnumber(L, <double>(at + 1))
    return results + 1


cdef int struct_size(lua_State* L) noexcept nogil:
    cdef Format format
    cdef char option
    cdef size_t size, at = 0
    begin(L, &format)
    while format.at[0] != 0:
        option = format.at[0]
        format.at += 1
        size = option_size(L, option, &format)
        at += padding(at, &format, option, size)
        if option == c"s":
            lua.L_argerror(L, 1, b"option 's' has no fixed size")
        elif option == c"c" and size == 0:
            lua.L_argerror(L, 1, b"option 'c0' has no fixed size")
        if not (is_digit(option) or c"a" <= (option | 32) <= c"z"):
            control(L, option, &format)
        at += size
    lua.pushnumber(L, <double>at)
    return 1


cdef void push_struct(lua_State* L) noexcept nogil:
    lua.createtable(L, 0, 3)
    push_function(L, struct_pack)
    raw_setfield(L, -2, b"pack")
    push_function(L, struct_unpack)
    raw_setfield(L, -2, b"unpack")
    push_function(L, struct_size)
    raw_setfield(L, -2, b"size")
