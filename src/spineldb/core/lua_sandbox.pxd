"""What scripts find: the globals, and tables that cannot be changed."""

from spineldb.core.lua_api cimport lua_State

cdef enum Kept:                  # places in the registry
    KEPT_GLOBALS = 1             # the table behind _G
    KEPT_PROXY = 2               # _G as scripts see it
    KEPT_PROXY_META = 3
    KEPT_STRING_META = 4         # what getmetatable("") answers
    KEPT_LOADING = 5             # the table behind _G while a library loads
    KEPT_HANDLER = 6             # of errors
    KEPT_ENTER = 7               # the function that runs a script
    KEPT_FAILURE = 8             # the function that writes an error as a reply
    KEPT_LOADER = 9              # the function that runs a library
    KEPT_REGISTERED = 10         # functions that the loading library has registered
    FIRST_SCRIPT = 16            # scripts have the numbers from here on

# Open the libraries and set up the globals of a new state: for scripts, or for functions. Raises.
cdef void open_sandbox(lua_State* L, bint for_functions, const char* version, int version_number,
                       const char* server) noexcept nogil
# Put a table that cannot be changed in the place of the table on the top.
cdef void protect(lua_State* L) noexcept nogil
# Push the table behind a protected one; False (and nothing pushed) if it is not protected.
cdef bint push_real(lua_State* L, int index) noexcept nogil
# Load a text as a function, never as bytecode: pushes it or the error. `name` must be anchored.
cdef int load_text(lua_State* L, const char* text, size_t size, const char* name) noexcept nogil
# While a library loads it finds another set of globals.
cdef void use_globals(lua_State* L, Kept which) noexcept nogil
