"""What stands behind a state of Lua: its memory, its time, and the functions handed down to it."""

from libc.stdint cimport int64_t, uint64_t

from spineldb.core.lua_api cimport lua, lua_Debug, lua_State
from spineldb.core.resp cimport Output, Slice

cdef enum:
    HOOK_EVERY = 20_000          # instructions between two looks at the clock
    CONVERTED = 32               # bytes that a number given as an argument may need

# The seams. All run with the interpreter lock held though their type says nogil (so that C
# functions of Lua, which are nothing but C, may call them); they raise nothing, keep no pointer
# they are given, and never touch the state of Lua that calls them.
#
# Run a command for the script. The reply, or the error, goes to `out` as RESP of `protocol`.
ctypedef void (*CommandSeam)(void* context, Slice* argv, int argc, int protocol,
                             Output* out) noexcept nogil
# Asked about every millisecond of a run that has lasted `quiet_ns`: NULL to go on, or the error
# that ends the run, `-CODE text`. Whatever may be served meanwhile is served here.
ctypedef const char* (*TickSeam)(void* context, int64_t elapsed_ns) noexcept nogil
# Write to the log: redis.log() with a level of 0 to 3.
ctypedef void (*LogSeam)(void* context, int level, const char* text, size_t size) noexcept nogil
# May the client run this? 1, 0, or -1 if it is no command.
ctypedef int (*MaySeam)(void* context, Slice* argv, int argc) noexcept nogil
# redis.set_repl(): where the effects of what follows go, as bits (1: log, 2: replicas).
ctypedef void (*ReplicateSeam)(void* context, int bits) noexcept nogil

cdef struct Seams:
    void* context
    CommandSeam command
    TickSeam tick
    LogSeam log
    MaySeam may
    ReplicateSeam replicate
    int64_t quiet_ns             # a run is not asked about before it has lasted this long

cdef struct JsonOptions:         # what scripts may set of cjson
    bint sparse_convert
    int sparse_ratio, sparse_safe
    int encode_depth, decode_depth
    int precision
    int encode_invalid           # 0: refused, 1: written, 2: written as null
    bint decode_invalid
    bint keep_buffer

cdef struct Text:                # a growing buffer; its memory is counted as the script's
    char* data
    size_t used
    size_t capacity

cdef struct Host:
    # memory
    size_t used                  # bytes that Lua holds
    size_t limit                 # it may hold no more than these
    size_t peak                  # the most it has held
    size_t swept                 # held after the last full collection
    bint refused                 # the limit was reached
    bint collecting_changed      # collectgarbage() changed how the collector works
    # time
    int64_t started_ns
    int64_t tick_ns              # ask at this time
    const char* stop             # the error that ends this run, `-CODE text`
    char[64] stop_source         # and where the script was then
    int stop_line
    # the run
    bint running
    Seams seams
    int protocol                 # of the replies that the script sees
    Output reply                 # of the command that it called
    Slice* argv
    char* converted              # CONVERTED bytes for each
    int capacity                 # of these two
    JsonOptions json
    Text text                    # what cjson and cmsgpack write
    uint64_t random              # 48 bits of state
    bint loading                 # a library of functions, which registers them

cdef inline Host* host(lua_State* L) noexcept nogil:
    """The host of a state: what its allocator is given."""
    cdef void* found
    lua.getallocf(L, &found)
    return <Host*>found

cdef Host* host_new() except NULL
cdef void host_free(Host* host) noexcept nogil

# The allocator of a state, whose `ud` is its Host.
cdef void* allocate(void* ud, void* block, size_t old, size_t new) noexcept nogil
# The hook of a state and of all its coroutines.
cdef void on_count(lua_State* L, lua_Debug* ar) noexcept nogil
# Look at the clock now: what makes coroutines does, since each counts its own instructions.
cdef void check_time(lua_State* L) noexcept nogil
# End the run, which `stop` gives the reason of.
cdef void stop(lua_State* L) noexcept nogil
# Arm the hook as it is while nothing is to be stopped.
cdef void arm(lua_State* L) noexcept nogil

# Push an error as a script sees it, {err=text}. A text that begins with `-` and has a blank brings
# its own code; ERR is put before others.
cdef void push_error(lua_State* L, const char* text, size_t size) noexcept nogil
# Raise "not enough memory": an error that no handler of the script's is asked about.
cdef int raise_memory(lua_State* L) noexcept nogil
# Push it and raise it.
cdef int raise_error(lua_State* L, const char* text) noexcept nogil

# Make room for `size` more bytes; raises Lua's memory error if there is none.
cdef char* text_grow(lua_State* L, Text* text, size_t size) noexcept nogil

cdef inline char* text_room(lua_State* L, Text* text, size_t size) noexcept nogil:
    if text.capacity - text.used >= size and text.data is not NULL:
        return text.data + text.used
    return text_grow(L, text, size)

cdef void text_put(lua_State* L, Text* text, const char* data, size_t size) noexcept nogil
# Give back what a big text needed.
cdef void text_trim(Host* host) noexcept nogil
