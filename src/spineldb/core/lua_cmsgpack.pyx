"""`cmsgpack` for scripts: MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md).

Numbers that are integers take the shortest integer form, others a single if that holds them
exactly. A table whose keys are 1 to n is an array, another a map; what lies more than 16 levels
deep, or has no form, is nil. Binary and extension types are refused.
"""

from libc.limits cimport INT_MAX
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from spineldb.core.lua_api cimport (
    LUA_TBOOLEAN, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, lua, pop, push_function,
    raise_text, raw_setfield,
)
from spineldb.core.lua_host cimport Host, Text, host, text_put, text_room, text_trim

cdef enum:
    DEEPEST = 16


# ---------------------------------------------------------------- pack

cdef inline void put_head(lua_State* L, Text* text, uint8_t code, uint64_t value,
                          int size) noexcept nogil:
    """Write a code and `size` bytes of a value, the highest first."""
    cdef char* to = text_room(L, text, 9)
    cdef int i
    to[0] = <char>code
    for i in range(size):
        to[size - i] = <char>(value & 255)
        value >>= 8
    text.used += 1 + size


cdef void put_integer(lua_State* L, Text* text, int64_t n) noexcept nogil:
    cdef uint64_t bits = <uint64_t>n
    if -32 <= n <= 127:
        put_head(L, text, <uint8_t>(bits & 255), 0, 0)
    elif n > <int64_t>4294967295:
        put_head(L, text, 0xCF, bits, 8)
    elif n > 0xFFFF:
        put_head(L, text, 0xCE, bits, 4)
    elif n > 0xFF:
        put_head(L, text, 0xCD, bits, 2)
    elif n > 127:
        put_head(L, text, 0xCC, bits, 1)
    elif n >= -128:
        put_head(L, text, 0xD0, bits, 1)
    elif n >= -32768:
        put_head(L, text, 0xD1, bits, 2)
    elif n >= -2147483648:
        put_head(L, text, 0xD2, bits, 4)
    else:
        put_head(L, text, 0xD3, bits, 8)


cdef void put_number(lua_State* L, Text* text, double number) noexcept nogil:
    cdef uint64_t bits
    cdef uint32_t short_bits
    cdef float single
    if -9223372036854775808.0 <= number < 9223372036854775808.0 and (
        <double><int64_t>number == number
    ):
        put_integer(L, text, <int64_t>number)
        return
    if number - number == 0 and not -3.4028234663852886e38 <= number <= 3.4028234663852886e38:
        single = 0                           # finite, but not as a single
    else:
        single = <float>number
    if <double>single == number:
        memcpy(&short_bits, &single, 4)
        put_head(L, text, 0xCA, short_bits, 4)
    else:
        memcpy(&bits, &number, 8)
        put_head(L, text, 0xCB, bits, 8)


cdef void put_string(lua_State* L, Text* text, int index) noexcept nogil:
    cdef size_t size
    cdef const char* data = lua.tolstring(L, index, &size)
    if size < 32:
        put_head(L, text, <uint8_t>(0xA0 | size), 0, 0)
    elif size <= 0xFF:
        put_head(L, text, 0xD9, size, 1)
    elif size <= 0xFFFF:
        put_head(L, text, 0xDA, size, 2)
    else:
        put_head(L, text, 0xDB, size, 4)
    text_put(L, text, data, size)


cdef int64_t array_size(lua_State* L, int64_t* fields) noexcept nogil:
    """How many elements the table on the top has if it is an array, else -1; count its fields."""
    cdef int64_t largest = 0
    cdef bint array = True
    cdef double key
    fields[0] = 0
    lua.pushnil(L)
    while lua.next(L, -2):
        pop(L, 1)
        fields[0] += 1
        if array and lua.type(L, -1) == LUA_TNUMBER:
            key = lua.tonumber(L, -1)
            if 1 <= key < 9007199254740992.0 and <double><int64_t>key == key:
                largest = max(largest, <int64_t>key)
            else:
                array = False
        else:
            array = False
    return largest if array and largest == fields[0] else -1


cdef void put_table(lua_State* L, Text* text, int level) noexcept nogil:
    cdef int64_t fields, i
    cdef int64_t size = array_size(L, &fields)
    cdef bint array = size >= 0
    if fields < 16:
        put_head(L, text, <uint8_t>((0x90 if array else 0x80) | fields), 0, 0)
    elif fields <= 0xFFFF:
        put_head(L, text, 0xDC if array else 0xDE, <uint64_t>fields, 2)
    else:
        put_head(L, text, 0xDD if array else 0xDF, <uint64_t>fields, 4)
    if array:
        for i in range(size):
            lua.rawgeti(L, -1, <int>(i + 1))
            put_value(L, text, level + 1)
        return
    lua.pushnil(L)
    while lua.next(L, -2):
        lua.pushvalue(L, -2)
        put_value(L, text, level + 1)        # pops
        put_value(L, text, level + 1)


cdef void put_value(lua_State* L, Text* text, int level) noexcept nogil:
    """Write the value on the top of the stack, and pop it."""
    cdef int kind = lua.type(L, -1)
    lua.L_checkstack(L, 5, b"in function mp_encode_lua_type")
    if kind == LUA_TSTRING:
        put_string(L, text, -1)
    elif kind == LUA_TNUMBER:
        put_number(L, text, lua.tonumber(L, -1))
    elif kind == LUA_TBOOLEAN:
        put_head(L, text, 0xC3 if lua.toboolean(L, -1) else 0xC2, 0, 0)
    elif kind == LUA_TTABLE and level < DEEPEST:
        put_table(L, text, level)
    else:
        put_head(L, text, 0xC0, 0, 0)
    pop(L, 1)


cdef int msgpack_pack(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef int count = lua.gettop(L), i
    if count == 0:
        return lua.L_argerror(L, 0, b"MessagePack pack needs input.")
    lua.L_checkstack(L, 2, b"Too many arguments for MessagePack pack.")
    host_.text.used = 0
    for i in range(count):
        lua.pushvalue(L, i + 1)
        put_value(L, &host_.text, 0)
    lua.pushlstring(L, host_.text.data, host_.text.used)
    text_trim(host_)
    return 1


# ---------------------------------------------------------------- unpack

cdef struct Input:
    const uint8_t* at
    size_t left
    const char* fault            # why reading cannot go on


cdef inline bint need(Input* data, size_t size) noexcept nogil:
    if data.left >= size:
        return True
    data.fault = b"Missing bytes in input."
    return False


cdef inline void skip(Input* data, size_t size) noexcept nogil:
    data.at += size
    data.left -= size


cdef uint64_t take(Input* data, int size) noexcept nogil:
    """The number in the bytes behind the code; nothing if they are not all there."""
    cdef uint64_t value = 0
    cdef int i
    if not need(data, 1 + <size_t>size):
        return 0
    for i in range(size):
        value = value << 8 | data.at[1 + i]
    skip(data, 1 + <size_t>size)
    return value


cdef void get_string(lua_State* L, Input* data, size_t head, size_t size) noexcept nogil:
    if need(data, head) and need(data, head + size):
        lua.pushlstring(L, <const char*>data.at + head, size)
        skip(data, head + size)


cdef size_t length_at(const Input* data, int size) noexcept nogil:
    """A length behind the code, read without moving; 0 if it is cut off."""
    cdef size_t value = 0
    cdef int i
    if data.left < 1 + <size_t>size:
        return 0
    for i in range(size):
        value = value << 8 | data.at[1 + i]
    return value


cdef void get_array(lua_State* L, Input* data, uint64_t count) noexcept nogil:
    cdef uint64_t i
    if data.fault is not NULL:
        return
    lua.createtable(L, 0, 0)
    lua.L_checkstack(L, 2, b"in function mp_decode_to_lua_array")
    for i in range(1, count + 1):
        lua.pushnumber(L, <double>i)
        get_value(L, data)
        if data.fault is not NULL:
            return
        lua.rawset(L, -3)


cdef void get_map(lua_State* L, Input* data, uint64_t count) noexcept nogil:
    cdef uint64_t _i
    if data.fault is not NULL:
        return
    lua.createtable(L, 0, 0)
    lua.L_checkstack(L, 2, b"in function mp_decode_to_lua_hash")
    for _i in range(count):
        get_value(L, data)
        if data.fault is not NULL:
            return
        get_value(L, data)
        if data.fault is not NULL:
            return
        lua.rawset(L, -3)


cdef double get_float(uint64_t bits, int size) noexcept nogil:
    cdef uint32_t short_bits = <uint32_t>bits
    cdef double number
    cdef float single
    if size == 4:
        memcpy(&single, &short_bits, 4)
        return single
    memcpy(&number, &bits, 8)
    return number


cdef double get_number(Input* data, uint8_t code) noexcept nogil:
    """A number with a code of its own; those without a sign are read with one if they are wide."""
    cdef int size = 1 << (code & 3)
    cdef uint64_t bits
    if code < 0xCC:
        return get_float(take(data, 4 if code == 0xCA else 8), 4 if code == 0xCA else 8)
    bits = take(data, size)
    if code == 0xD0:
        return <int8_t><uint8_t>bits
    if code == 0xD1:
        return <int16_t><uint16_t>bits
    if code == 0xD2:
        return <int32_t><uint32_t>bits
    return <double><int64_t>bits


cdef void get_value(lua_State* L, Input* data) noexcept nogil:
    """Read one value and push it; or set `fault`, whatever was pushed."""
    cdef uint8_t code
    if not need(data, 1):
        return
    code = data.at[0]
    if code < 0x80 or code >= 0xE0:
        lua.pushnumber(L, <int8_t>code)
        skip(data, 1)
    elif code < 0x90:
        skip(data, 1)
        get_map(L, data, code & 15)
    elif code < 0xA0:
        skip(data, 1)
        get_array(L, data, code & 15)
    elif code < 0xC0:
        get_string(L, data, 1, code & 31)
    elif code == 0xC0:
        lua.pushnil(L)
        skip(data, 1)
    elif code == 0xC2 or code == 0xC3:
        lua.pushboolean(L, code == 0xC3)
        skip(data, 1)
    elif 0xCA <= code <= 0xD3:
        lua.pushnumber(L, get_number(data, code))
    elif 0xD9 <= code <= 0xDB:
        get_string(L, data, 1 + (<size_t>1 << (code - 0xD9)), length_at(data, 1 << (code - 0xD9)))
    elif code == 0xDC or code == 0xDD:
        get_array(L, data, take(data, 2 << (code & 1)))
    elif code == 0xDE or code == 0xDF:
        get_map(L, data, take(data, 2 << (code & 1)))
    else:
        data.fault = b"Bad data format in input."


cdef int unpack_some(lua_State* L, ptrdiff_t limit, ptrdiff_t offset) noexcept nogil:
    """Push up to `limit` values from `offset`; before them, but for all, the next offset."""
    cdef Input data
    cdef size_t size
    cdef int count = 0
    cdef char[128] message
    cdef const char* text = lua.L_checklstring(L, 1, &size)
    cdef bint everything = limit == 0 and offset == 0
    if offset < 0 or limit < 0:
        snprintf(message, sizeof(message),
                 b"Invalid request to unpack with offset of %d and limit of %d.", <int>offset,
                 <int>size)
        return raise_text(L, message)
    if <size_t>offset > size:
        snprintf(message, sizeof(message), b"Start offset %d greater than input length %d.",
                 <int>offset, <int>size)
        return raise_text(L, message)
    data.at = <const uint8_t*>text + offset
    data.left = size - <size_t>offset
    data.fault = NULL
    if everything:
        limit = INT_MAX
    while data.left > 0 and count < limit:
        lua.L_checkstack(L, 2, b"too many return values at once; use unpack_one or unpack_limit "
                               b"instead.")
        get_value(L, &data)
        if data.fault is not NULL:
            return raise_text(L, data.fault)
        count += 1
    if not everything:
        lua.pushnumber(L, <double>(size - data.left) if data.left else -1)
        lua.insert(L, 2)
        count += 1
    return count


cdef inline void only_first(lua_State* L) noexcept nogil:
    if lua.gettop(L) > 1:
        lua.settop(L, 1)


cdef int msgpack_unpack(lua_State* L) noexcept nogil:
    only_first(L)
    return unpack_some(L, 0, 0)


cdef ptrdiff_t offset_or_0(lua_State* L, int argument) noexcept nogil:
    return lua.L_checkinteger(L, argument) if lua.type(L, argument) > LUA_TNIL else 0


cdef int msgpack_unpack_one(lua_State* L) noexcept nogil:
    cdef ptrdiff_t offset = offset_or_0(L, 2)
    only_first(L)
    return unpack_some(L, 1, offset)


cdef int msgpack_unpack_limit(lua_State* L) noexcept nogil:
    cdef ptrdiff_t limit = lua.L_checkinteger(L, 2)
    cdef ptrdiff_t offset = offset_or_0(L, 3)
    only_first(L)
    return unpack_some(L, limit, offset)


cdef void push_cmsgpack(lua_State* L) noexcept nogil:
    lua.createtable(L, 0, 8)
    push_function(L, msgpack_pack)
    raw_setfield(L, -2, b"pack")
    push_function(L, msgpack_unpack)
    raw_setfield(L, -2, b"unpack")
    push_function(L, msgpack_unpack_one)
    raw_setfield(L, -2, b"unpack_one")
    push_function(L, msgpack_unpack_limit)
    raw_setfield(L, -2, b"unpack_limit")
    lua.pushstring(L, b"cmsgpack")
    raw_setfield(L, -2, b"_NAME")
    lua.pushstring(L, b"lua-cmsgpack 0.4.0")
    raw_setfield(L, -2, b"_VERSION")
    lua.pushstring(L, b"Copyright (C) 2012, Salvatore Sanfilippo")
    raw_setfield(L, -2, b"_COPYRIGHT")
    lua.pushstring(L, b"MessagePack C implementation for Lua")
    raw_setfield(L, -2, b"_DESCRIPTION")
