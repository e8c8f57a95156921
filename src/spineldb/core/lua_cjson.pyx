"""`cjson` for scripts: JSON (RFC 8259), in the forms and with the options of lua-cjson 2.1.

A table whose keys are integers above 0 is an array, unless that has too many holes; an empty one is
an object. Numbers are written with 14 digits. Decoding also reads what strtod() reads: hexadecimal
numbers, infinities, NaN. null is a light userdata of address 0.

Errors name a position, counted from 1 in bytes. Options are those of one script: the next finds
the defaults.
"""

from libc.limits cimport INT_MAX
from libc.math cimport floor, isinf, isnan
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memchr, strcmp, strncmp

from spineldb.core.lua_api cimport (
    LUA_TBOOLEAN, LUA_TLIGHTUSERDATA, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, lua,
    lua_CFunction, pop,
    raise_text, raw_setfield, upvalue,
)
from spineldb.core.lua_host cimport Host, Text, host, text_put, text_room, text_trim

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* a, const char* b, size_t size)

cdef extern from *:
    """
    #include <locale.h>
    #include <stdlib.h>
    #if defined(__APPLE__)
    #include <xlocale.h>
    #endif
    /* A host program may have set a locale in which the decimal point is a comma. */
    static locale_t spinel_json_locale;
    static int spinel_json_open(void) {
        spinel_json_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        return spinel_json_locale != (locale_t)0;
    }
    static double spinel_json_strtod(const char *text, char **end) {
        return strtod_l(text, end, spinel_json_locale);
    }
    """
    bint spinel_json_open()
    double spinel_json_strtod(const char* text, char** end) nogil

cdef enum:
    DEPTH = 1000
    NUMBER_TEXT = 40

if not spinel_json_open():
    raise OSError("the C locale cannot be opened")


cdef void json_defaults(JsonOptions* options) noexcept nogil:
    options.sparse_convert = False
    options.sparse_ratio = 2
    options.sparse_safe = 10
    options.encode_depth = options.decode_depth = DEPTH
    options.precision = 14
    options.encode_invalid = 0
    options.decode_invalid = True
    options.keep_buffer = True


cdef inline JsonOptions* options_of(lua_State* L) noexcept nogil:
    return <JsonOptions*>lua.touserdata(L, upvalue(1))


# ---------------------------------------------------------------- encode

cdef void refuse(lua_State* L, int index, const char* reason) noexcept nogil:
    cdef char[128] message
    snprintf(message, sizeof(message), b"Cannot serialise %s: %s",
             lua.typename(L, lua.type(L, index)), reason)
    raise_text(L, message)


cdef const char* HEX = b"0123456789abcdef"


cdef inline char escape_of(uint8_t c) noexcept nogil:
    """What follows the backslash that a character needs: 0 for none, `u` for its number."""
    if c >= 127:
        return c"u" if c == 127 else 0
    if c >= 32:
        return <char>c if c == 34 or c == 92 or c == 47 else 0
    if c == 8:
        return c"b"
    if c == 9:
        return c"t"
    if c == 10:
        return c"n"
    if c == 12:
        return c"f"
    if c == 13:
        return c"r"
    return c"u"


cdef void put_string(lua_State* L, Text* text, int index) noexcept nogil:
    cdef size_t size, i, room
    cdef const char* data = lua.tolstring(L, index, &size)
    cdef char* to = text_room(L, text, size + 8)
    cdef char* end = text.data + text.capacity
    cdef char escape
    cdef uint8_t c
    to[0] = c'"'
    to += 1
    for i in range(size):
        c = <uint8_t>data[i]
        escape = escape_of(c)
        if escape == 0:
            to[0] = <char>c
            to += 1
            continue
        room = size - i + 8
        if <size_t>(end - to) < room + 6:
            text.used = to - text.data
            to = text_room(L, text, room + 6 + (size - i) // 2)
            end = text.data + text.capacity
        to[0] = 92
        to[1] = escape
        to += 2
        if escape == c"u":
            to[0] = c"0"
            to[1] = c"0"
            to[2] = HEX[c >> 4]
            to[3] = HEX[c & 15]
            to += 4
    to[0] = c'"'
    text.used = to + 1 - text.data


cdef void put_number(lua_State* L, Text* text, const JsonOptions* options,
                     int index) noexcept nogil:
    cdef double number = lua.tonumber(L, index)
    cdef char* to
    cdef char* comma
    cdef int size
    if isinf(number) or isnan(number):
        if options.encode_invalid == 0:
            refuse(L, index, b"must not be NaN or Inf")
        if options.encode_invalid == 2:
            text_put(L, text, b"null", 4)
        elif isnan(number):
            text_put(L, text, b"nan", 3)
        elif number < 0:
            text_put(L, text, b"-inf", 4)
        else:
            text_put(L, text, b"inf", 3)
        return
    to = text_room(L, text, NUMBER_TEXT)
    if -1e9 < number < 1e9 and number == <double><int64_t>number and (
        number != 0 and options.precision >= 9
    ):
        text.used += put_small(<int>number, to)
        return
    size = snprintf(to, NUMBER_TEXT, b"%.*g", options.precision, number)
    comma = <char*>memchr(to, c",", <size_t>size)
    if comma is not NULL:
        comma[0] = c"."
    text.used += <size_t>size


cdef size_t put_small(int number, char* to) noexcept nogil:
    """The decimal digits of an integer below 1e9, without printf."""
    cdef char[12] digits
    cdef uint32_t rest = <uint32_t>(-number if number < 0 else number)
    cdef size_t n = 0, i
    while True:
        digits[n] = <char>(48 + rest % 10)
        rest //= 10
        n += 1
        if rest == 0:
            break
    if number < 0:
        digits[n] = c"-"
        n += 1
    for i in range(n):
        to[i] = digits[n - 1 - i]
    return n


cdef int64_t array_size(lua_State* L, const JsonOptions* options) noexcept nogil:
    """How long an array the table on the top is; -1 if it is an object."""
    cdef double key
    cdef int64_t largest = 0, items = 0
    lua.pushnil(L)
    while lua.next(L, -2):
        pop(L, 1)
        if lua.type(L, -1) == LUA_TNUMBER:
            key = lua.tonumber(L, -1)
            if 1 <= key <= INT_MAX and floor(key) == key:
                largest = max(largest, <int64_t>key)
                items += 1
                continue
        pop(L, 1)
        return -1
    if options.sparse_ratio > 0 and largest > items * options.sparse_ratio and (
        largest > options.sparse_safe
    ):
        if not options.sparse_convert:
            refuse(L, -1, b"excessively sparse array")
        return -1
    return largest


cdef void put_object(lua_State* L, Text* text, const JsonOptions* options,
                     int depth) noexcept nogil:
    cdef int kind
    cdef bint first = True
    text_put(L, text, b"{", 1)
    lua.pushnil(L)
    while lua.next(L, -2):
        if not first:
            text_put(L, text, b",", 1)
        first = False
        kind = lua.type(L, -2)
        if kind == LUA_TNUMBER:
            text_put(L, text, b'"', 1)
            put_number(L, text, options, -2)
            text_put(L, text, b'":', 2)
        elif kind == LUA_TSTRING:
            put_string(L, text, -2)
            text_put(L, text, b":", 1)
        else:
            refuse(L, -2, b"table key must be a number or string")
        put_value(L, text, options, depth)
        pop(L, 1)
    text_put(L, text, b"}", 1)


cdef void put_table(lua_State* L, Text* text, const JsonOptions* options,
                    int depth) noexcept nogil:
    cdef char[80] message
    cdef int64_t size, i
    if depth > options.encode_depth or not lua.checkstack(L, 3):
        snprintf(message, sizeof(message), b"Cannot serialise, excessive nesting (%d)", depth)
        raise_text(L, message)
    size = array_size(L, options)
    if size <= 0:
        put_object(L, text, options, depth)
        return
    text_put(L, text, b"[", 1)
    for i in range(size):
        if i:
            text_put(L, text, b",", 1)
        lua.rawgeti(L, -1, <int>(i + 1))
        put_value(L, text, options, depth)
        pop(L, 1)
    text_put(L, text, b"]", 1)


cdef void put_value(lua_State* L, Text* text, const JsonOptions* options,
                    int depth) noexcept nogil:
    """Write the value on the top of the stack, `depth` tables deep; it stays there."""
    cdef int kind = lua.type(L, -1)
    if kind == LUA_TSTRING:
        put_string(L, text, -1)
    elif kind == LUA_TNUMBER:
        put_number(L, text, options, -1)
    elif kind == LUA_TTABLE:
        put_table(L, text, options, depth + 1)
    elif kind == LUA_TBOOLEAN:
        if lua.toboolean(L, -1):
            text_put(L, text, b"true", 4)
        else:
            text_put(L, text, b"false", 5)
    elif kind == LUA_TNIL or (kind == LUA_TLIGHTUSERDATA and lua.touserdata(L, -1) is NULL):
        text_put(L, text, b"null", 4)
    else:
        refuse(L, -1, b"type not supported")


cdef int json_encode(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    if lua.gettop(L) != 1:
        return lua.L_argerror(L, 1, b"expected 1 argument")
    host_.text.used = 0
    put_value(L, &host_.text, options_of(L), 0)
    lua.pushlstring(L, host_.text.data, host_.text.used)
    text_trim(host_)
    return 1


# ---------------------------------------------------------------- decode

cdef enum Kind:
    OBJECT_BEGIN
    OBJECT_END
    ARRAY_BEGIN
    ARRAY_END
    STRING
    NUMBER
    BOOLEAN
    NULL_WORD
    COLON
    COMMA
    END
    FAULT


cdef struct Token:
    Kind kind
    const char* at               # where it begins, or what is wrong
    const char* fault            # FAULT: what that is
    const char* text             # STRING, decoded
    size_t size
    double number                # NUMBER; BOOLEAN: 0 or 1


cdef struct Source:
    const char* data
    const char* at
    const JsonOptions* options
    Text* text                   # where strings with escapes are decoded
    int depth


cdef inline bint is_blank(char c) noexcept nogil:
    return c == c" " or c == c"\t" or c == c"\n" or c == c"\r"


cdef inline void fault(Token* token, const char* what, const char* at) noexcept nogil:
    token.kind = FAULT
    token.fault = what
    token.at = at


cdef bint is_odd_number(const char* p) noexcept nogil:
    """Is what stands here a number for strtod() that JSON does not know?"""
    if p[0] == c"+":
        return True
    if p[0] == c"-":
        p += 1
    if p[0] == c"0":
        return (p[1] | 32) == c"x" or c"0" <= p[1] <= c"9"
    if <uint8_t>p[0] <= c"9":
        return False
    return strncasecmp(p, b"inf", 3) == 0 or strncasecmp(p, b"nan", 3) == 0


cdef void next_number(Source* source, Token* token) noexcept nogil:
    cdef const char* p = source.at
    cdef char* end
    cdef int64_t n = 0
    cdef int digits = 0
    while c"0" <= p[digits] <= c"9" and digits < 15:      # an integer of 15 digits is exact
        n = n * 10 + (p[digits] - c"0")
        digits += 1
    if digits and digits < 15 and not (p[digits] == c"." or (p[digits] | 32) == c"e"
                                       or (p[digits] | 32) == c"x"):
        token.number = <double>n
        end = <char*>p + digits
    else:
        token.number = spinel_json_strtod(p, &end)
    if end == p:
        fault(token, b"invalid number", p)
        return
    token.kind = NUMBER
    source.at = end


cdef int hex4(const char* p) noexcept nogil:
    cdef int value = 0, i
    cdef char c
    for i in range(4):
        c = p[i]
        if c"0" <= c <= c"9":
            value = value * 16 + (c - c"0")
        elif c"a" <= (c | 32) <= c"f":
            value = value * 16 + ((c | 32) - c"a" + 10)
        else:
            return -1
    return value


cdef int put_utf8(uint32_t code, char* to) noexcept nogil:
    if code < 0x80:
        to[0] = <char>code
        return 1
    if code < 0x800:
        to[0] = <char>(0xC0 | code >> 6)
        to[1] = <char>(0x80 | (code & 63))
        return 2
    if code < 0x10000:
        to[0] = <char>(0xE0 | code >> 12)
        to[1] = <char>(0x80 | (code >> 6 & 63))
        to[2] = <char>(0x80 | (code & 63))
        return 3
    to[0] = <char>(0xF0 | code >> 18)
    to[1] = <char>(0x80 | (code >> 12 & 63))
    to[2] = <char>(0x80 | (code >> 6 & 63))
    to[3] = <char>(0x80 | (code & 63))
    return 4


cdef int unicode_escape(const char* p, char* to, int* written) noexcept nogil:
    """Decode `\\uXXXX`, or two of them that are a pair; return its length, 0 if it is wrong."""
    cdef int code = hex4(p + 2), low
    if code < 0:
        return 0
    if code & 0xF800 != 0xD800:
        written[0] = put_utf8(<uint32_t>code, to)
        return 6
    if code & 0x400 or p[6] != 92 or p[7] != c"u":
        return 0
    low = hex4(p + 8)
    if low < 0 or low & 0xFC00 != 0xDC00:
        return 0
    written[0] = put_utf8(<uint32_t>(((code & 0x3FF) << 10 | (low & 0x3FF)) + 0x10000), to)
    return 12


cdef inline char plain_escape(char c) noexcept nogil:
    if c == c'"' or c == 92 or c == c"/":
        return c
    if c == c"b":
        return 8
    if c == c"f":
        return 12
    if c == c"n":
        return 10
    if c == c"r":
        return 13
    return 9 if c == c"t" else 0


cdef void next_string(lua_State* L, Source* source, Token* token) noexcept nogil:
    cdef const char* p = source.at + 1
    cdef const char* begin = p
    cdef char* to
    cdef int length, written = 0
    while p[0] != c'"' and p[0] != 92 and p[0] != 0:
        p += 1
    token.kind = STRING
    if p[0] == c'"':                         # nothing to decode
        token.text = begin
        token.size = p - begin
        source.at = p + 1
        return
    source.text.used = 0
    text_put(L, source.text, begin, p - begin)
    while p[0] != c'"':
        if p[0] == 0:
            fault(token, b"unexpected end of string", p)
            return
        to = text_room(L, source.text, 8)
        if p[0] != 92:
            begin = p
            while p[0] != c'"' and p[0] != 92 and p[0] != 0:
                p += 1
            text_put(L, source.text, begin, p - begin)
        elif p[1] == c"u":
            length = unicode_escape(p, to, &written)
            if length == 0:
                fault(token, b"invalid unicode escape code", p)
                return
            source.text.used += <size_t>written
            p += length
        else:
            to[0] = plain_escape(p[1])
            if to[0] == 0:
                fault(token, b"invalid escape code", p)
                return
            source.text.used += 1
            p += 2
    token.text = source.text.data
    token.size = source.text.used
    source.at = p + 1


cdef void one(Source* source, Token* token, Kind kind, int size) noexcept nogil:
    token.kind = kind
    source.at += size


cdef void next_token(lua_State* L, Source* source, Token* token) noexcept nogil:
    cdef char c
    while is_blank(source.at[0]):
        source.at += 1
    c = source.at[0]
    token.at = source.at
    if c == c'"':
        next_string(L, source, token)
    elif c == c",":
        one(source, token, COMMA, 1)
    elif c == c":":
        one(source, token, COLON, 1)
    elif c"0" <= c <= c"9" or c == c"-":
        if not source.options.decode_invalid and is_odd_number(source.at):
            fault(token, b"invalid number", source.at)
        else:
            next_number(source, token)
    elif c == c"{":
        one(source, token, OBJECT_BEGIN, 1)
    elif c == c"}":
        one(source, token, OBJECT_END, 1)
    elif c == c"[":
        one(source, token, ARRAY_BEGIN, 1)
    elif c == c"]":
        one(source, token, ARRAY_END, 1)
    elif c == 0:
        token.kind = END
    elif strncmp(source.at, b"true", 4) == 0:
        token.number = 1
        one(source, token, BOOLEAN, 4)
    elif strncmp(source.at, b"false", 5) == 0:
        token.number = 0
        one(source, token, BOOLEAN, 5)
    elif strncmp(source.at, b"null", 4) == 0:
        one(source, token, NULL_WORD, 4)
    elif source.options.decode_invalid and (
        c == c"+" or (c | 32) == c"i" or (c | 32) == c"n"
    ) and is_odd_number(source.at):
        next_number(source, token)
    else:
        fault(token, b"invalid token", source.at)


cdef const char* kind_name(Kind kind) noexcept nogil:
    if kind == OBJECT_BEGIN:
        return b"T_OBJ_BEGIN"
    if kind == OBJECT_END:
        return b"T_OBJ_END"
    if kind == ARRAY_BEGIN:
        return b"T_ARR_BEGIN"
    if kind == ARRAY_END:
        return b"T_ARR_END"
    if kind == STRING:
        return b"T_STRING"
    if kind == NUMBER:
        return b"T_NUMBER"
    if kind == BOOLEAN:
        return b"T_BOOLEAN"
    if kind == NULL_WORD:
        return b"T_NULL"
    if kind == COLON:
        return b"T_COLON"
    if kind == COMMA:
        return b"T_COMMA"
    return b"T_END"


cdef void expected(lua_State* L, const Source* source, const char* what,
                   const Token* token) noexcept nogil:
    cdef char[160] message
    snprintf(message, sizeof(message), b"Expected %s but found %s at character %d", what,
             token.fault if token.kind == FAULT else kind_name(token.kind),
             <int>(token.at - source.data + 1))
    raise_text(L, message)


cdef void descend(lua_State* L, Source* source, int slots) noexcept nogil:
    cdef char[120] message
    source.depth += 1
    if source.depth <= source.options.decode_depth and lua.checkstack(L, slots):
        return
    snprintf(message, sizeof(message),
             b"Found too many nested data structures (%d) at character %d", source.depth,
             <int>(source.at - source.data))
    raise_text(L, message)


cdef void get_object(lua_State* L, Source* source) noexcept nogil:
    cdef Token token
    descend(L, source, 3)
    lua.createtable(L, 0, 0)
    next_token(L, source, &token)
    if token.kind == OBJECT_END:
        source.depth -= 1
        return
    while True:
        if token.kind != STRING:
            expected(L, source, b"object key string", &token)
        lua.pushlstring(L, token.text, token.size)
        next_token(L, source, &token)
        if token.kind != COLON:
            expected(L, source, b"colon", &token)
        next_token(L, source, &token)
        get_value(L, source, &token)
        lua.rawset(L, -3)
        next_token(L, source, &token)
        if token.kind == OBJECT_END:
            source.depth -= 1
            return
        if token.kind != COMMA:
            expected(L, source, b"comma or object end", &token)
        next_token(L, source, &token)


cdef void get_array(lua_State* L, Source* source) noexcept nogil:
    cdef Token token
    cdef int i = 0
    descend(L, source, 2)
    lua.createtable(L, 0, 0)
    next_token(L, source, &token)
    if token.kind == ARRAY_END:
        source.depth -= 1
        return
    while True:
        i += 1
        get_value(L, source, &token)
        lua.rawseti(L, -2, i)
        next_token(L, source, &token)
        if token.kind == ARRAY_END:
            source.depth -= 1
            return
        if token.kind != COMMA:
            expected(L, source, b"comma or array end", &token)
        next_token(L, source, &token)


cdef void get_value(lua_State* L, Source* source, Token* token) noexcept nogil:
    """Push the value that begins with a token."""
    if token.kind == STRING:
        lua.pushlstring(L, token.text, token.size)
    elif token.kind == NUMBER:
        lua.pushnumber(L, token.number)
    elif token.kind == BOOLEAN:
        lua.pushboolean(L, token.number != 0)
    elif token.kind == OBJECT_BEGIN:
        get_object(L, source)
    elif token.kind == ARRAY_BEGIN:
        get_array(L, source)
    elif token.kind == NULL_WORD:
        lua.pushlightuserdata(L, NULL)
    else:
        expected(L, source, b"value", token)


cdef int json_decode(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef Source source
    cdef Token token
    cdef size_t size
    if lua.gettop(L) != 1:
        return lua.L_argerror(L, 1, b"expected 1 argument")
    source.data = source.at = lua.L_checklstring(L, 1, &size)
    source.options = options_of(L)
    source.text = &host_.text
    source.depth = 0
    if size >= 2 and (source.data[0] == 0 or source.data[1] == 0):
        return raise_text(L, b"JSON parser does not support UTF-16 or UTF-32")
    next_token(L, &source, &token)
    get_value(L, &source, &token)
    next_token(L, &source, &token)
    if token.kind != END:
        expected(L, &source, b"the end", &token)
    text_trim(host_)
    return 1


# ---------------------------------------------------------------- options

cdef JsonOptions* options_for(lua_State* L, int arguments) noexcept nogil:
    """The options, once there are no more arguments than these, and nil for the missing ones."""
    if lua.gettop(L) > arguments:
        lua.L_argerror(L, arguments + 1, b"found too many arguments")
    lua.settop(L, arguments)
    return options_of(L)


cdef void integer_option(lua_State* L, int argument, int* setting, int least,
                         int most) noexcept nogil:
    cdef char[80] message
    cdef ptrdiff_t value
    if lua.type(L, argument) != LUA_TNIL:
        value = lua.L_checkinteger(L, argument)
        if not least <= value <= most:
            snprintf(message, sizeof(message), b"expected integer between %d and %d", least, most)
            lua.L_argerror(L, 1, message)
        setting[0] = <int>value
    lua.pushnumber(L, setting[0])


cdef int choice(lua_State* L, int argument, int setting, bint has_null) noexcept nogil:
    """Read and answer an option of on, off or, for some, null; return what it is now."""
    cdef char[80] message
    cdef const char* name
    cdef int kind = lua.type(L, argument)
    if kind == LUA_TBOOLEAN:
        setting = lua.toboolean(L, argument)
    elif kind != LUA_TNIL:
        name = lua.L_checklstring(L, argument, NULL)
        if strcmp(name, b"off") == 0:
            setting = 0
        elif strcmp(name, b"on") == 0:
            setting = 1
        elif has_null and strcmp(name, b"null") == 0:
            setting = 2
        else:
            snprintf(message, sizeof(message), b"invalid option '%.40s'", name)
            lua.L_argerror(L, argument, message)
    if setting == 2:
        lua.pushstring(L, b"null")
    else:
        lua.pushboolean(L, setting)
    return setting


cdef int json_encode_sparse_array(lua_State* L) noexcept nogil:
    cdef JsonOptions* options = options_for(L, 3)
    options.sparse_convert = choice(L, 1, options.sparse_convert, False)
    integer_option(L, 2, &options.sparse_ratio, 0, INT_MAX)
    integer_option(L, 3, &options.sparse_safe, 0, INT_MAX)
    return 3


cdef int json_encode_max_depth(lua_State* L) noexcept nogil:
    integer_option(L, 1, &options_for(L, 1).encode_depth, 1, INT_MAX)
    return 1


cdef int json_decode_max_depth(lua_State* L) noexcept nogil:
    integer_option(L, 1, &options_for(L, 1).decode_depth, 1, INT_MAX)
    return 1


cdef int json_encode_number_precision(lua_State* L) noexcept nogil:
    integer_option(L, 1, &options_for(L, 1).precision, 1, 14)
    return 1


cdef int json_encode_keep_buffer(lua_State* L) noexcept nogil:
    cdef JsonOptions* options = options_for(L, 1)
    options.keep_buffer = choice(L, 1, options.keep_buffer, False)
    return 1


cdef int json_encode_invalid_numbers(lua_State* L) noexcept nogil:
    cdef JsonOptions* options = options_for(L, 1)
    options.encode_invalid = choice(L, 1, options.encode_invalid, True)
    return 1


cdef int json_decode_invalid_numbers(lua_State* L) noexcept nogil:
    cdef JsonOptions* options = options_for(L, 1)
    options.decode_invalid = choice(L, 1, options.decode_invalid, False)
    return 1


# ---------------------------------------------------------------- the library

cdef void add(lua_State* L, lua_CFunction function, const char* name) noexcept nogil:
    """Add a function to the table on the top; the options are below it."""
    lua.pushvalue(L, -2)
    lua.pushcclosure(L, function, 1)
    raw_setfield(L, -2, name)


cdef int json_new(lua_State* L) noexcept nogil:
    """A copy of the library, with options of its own."""
    json_defaults(<JsonOptions*>lua.newuserdata(L, sizeof(JsonOptions)))
    push_library(L)
    return 1


cdef void push_library(lua_State* L) noexcept nogil:
    """Put the library in the place of the options on the top of the stack, by which it goes."""
    lua.createtable(L, 0, 14)
    add(L, json_encode, b"encode")
    add(L, json_decode, b"decode")
    add(L, json_encode_sparse_array, b"encode_sparse_array")
    add(L, json_encode_max_depth, b"encode_max_depth")
    add(L, json_decode_max_depth, b"decode_max_depth")
    add(L, json_encode_number_precision, b"encode_number_precision")
    add(L, json_encode_keep_buffer, b"encode_keep_buffer")
    add(L, json_encode_invalid_numbers, b"encode_invalid_numbers")
    add(L, json_decode_invalid_numbers, b"decode_invalid_numbers")
    add(L, json_new, b"new")
    lua.pushlightuserdata(L, NULL)
    raw_setfield(L, -2, b"null")
    lua.pushstring(L, b"cjson")
    raw_setfield(L, -2, b"_NAME")
    lua.pushstring(L, b"2.1.0")
    raw_setfield(L, -2, b"_VERSION")
    lua.remove(L, -2)


cdef void push_cjson(lua_State* L) noexcept nogil:
    json_defaults(&host(L).json)
    lua.pushlightuserdata(L, &host(L).json)
    push_library(L)
