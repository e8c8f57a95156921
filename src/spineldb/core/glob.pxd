"""Glob patterns, byte for byte as Redis matches them."""

cdef bint glob_match(
    const char* pattern, size_t pattern_size, const char* text, size_t size, bint nocase
) noexcept nogil
