"""SHA1 (FIPS 180-4), by which scripts are named."""

# Write the 40 hexadecimal digits of a text's hash.
cdef void sha1_hex(const char* data, size_t size, char* out) noexcept nogil
