"""`bit` for scripts: operations on 32-bit integers, with the results of LuaBitOp.

A number is taken modulo 2**32, exactly up to 2**51 (one that is no integer is rounded to the
nearest even), and results are signed.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spineldb.core.lua_api cimport lua, lua_State, push_function, raw_setfield


cdef inline uint32_t word(lua_State* L, int argument) noexcept nogil:
    """A number's last 32 bits: adding 1.5 * 2**52 shifts them to the end of the double."""
    cdef double number = lua.L_checknumber(L, argument) + 6755399441055744.0
    cdef uint64_t bits
    memcpy(&bits, &number, sizeof(bits))
    return <uint32_t>bits


cdef inline int give(lua_State* L, uint32_t bits) noexcept nogil:
    lua.pushnumber(L, <double><int32_t>bits)
    return 1


cdef inline uint32_t left(uint32_t bits, uint32_t n) noexcept nogil:
    return bits << (n & 31)


cdef int bit_tobit(lua_State* L) noexcept nogil:
    return give(L, word(L, 1))


cdef int bit_bnot(lua_State* L) noexcept nogil:
    return give(L, ~word(L, 1))


cdef int bit_band(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    cdef int i
    for i in range(2, lua.gettop(L) + 1):
        bits &= word(L, i)
    return give(L, bits)


cdef int bit_bor(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    cdef int i
    for i in range(2, lua.gettop(L) + 1):
        bits |= word(L, i)
    return give(L, bits)


cdef int bit_bxor(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    cdef int i
    for i in range(2, lua.gettop(L) + 1):
        bits ^= word(L, i)
    return give(L, bits)


cdef int bit_lshift(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    return give(L, left(bits, word(L, 2)))


cdef int bit_rshift(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    return give(L, bits >> (word(L, 2) & 31))


cdef int bit_arshift(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    return give(L, <uint32_t>(<int32_t>bits >> (word(L, 2) & 31)))


cdef inline uint32_t rotated(uint32_t bits, uint32_t n) noexcept nogil:
    n &= 31
    return bits if n == 0 else (bits << n) | (bits >> (32 - n))


cdef int bit_rol(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    return give(L, rotated(bits, word(L, 2)))


cdef int bit_ror(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    return give(L, rotated(bits, 32 - (word(L, 2) & 31)))


cdef int bit_bswap(lua_State* L) noexcept nogil:
    cdef uint32_t bits = word(L, 1)
    return give(L, bits >> 24 | (bits >> 8 & 0xFF00) | (bits << 8 & 0xFF0000) | bits << 24)


cdef int bit_tohex(lua_State* L) noexcept nogil:
    """The last digits of a number: eight or as many as asked for, in capitals if negative."""
    cdef uint32_t bits = word(L, 1)
    cdef int64_t count = 8
    cdef const char* digits = b"0123456789abcdef"
    cdef char[8] text
    cdef int i
    if lua.type(L, 2) > 0:
        count = <int32_t>word(L, 2)
    if count < 0:
        count = -count
        digits = b"0123456789ABCDEF"
    if count > 8:
        count = 8
    for i in range(<int>count - 1, -1, -1):
        text[i] = digits[bits & 15]
        bits >>= 4
    lua.pushlstring(L, text, <size_t>count)
    return 1


cdef void push_bit(lua_State* L) noexcept nogil:
    lua.createtable(L, 0, 12)
    push_function(L, bit_tobit)
    raw_setfield(L, -2, b"tobit")
    push_function(L, bit_bnot)
    raw_setfield(L, -2, b"bnot")
    push_function(L, bit_band)
    raw_setfield(L, -2, b"band")
    push_function(L, bit_bor)
    raw_setfield(L, -2, b"bor")
    push_function(L, bit_bxor)
    raw_setfield(L, -2, b"bxor")
    push_function(L, bit_lshift)
    raw_setfield(L, -2, b"lshift")
    push_function(L, bit_rshift)
    raw_setfield(L, -2, b"rshift")
    push_function(L, bit_arshift)
    raw_setfield(L, -2, b"arshift")
    push_function(L, bit_rol)
    raw_setfield(L, -2, b"rol")
    push_function(L, bit_ror)
    raw_setfield(L, -2, b"ror")
    push_function(L, bit_bswap)
    raw_setfield(L, -2, b"bswap")
    push_function(L, bit_tohex)
    raw_setfield(L, -2, b"tohex")
