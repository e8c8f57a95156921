"""What the bodies of the sorted sets' commands share."""

from libc.stdint cimport int64_t, uint8_t

from spineldb.core.call cimport Call
from spineldb.core.entry cimport KIND_MASK, ZSET
from spineldb.core.resp cimport Slice
from spineldb.core.tree cimport Bound
from spineldb.core.zsets cimport Cursor, Item

cdef inline bint is_zset(const uint8_t* entry) noexcept nogil:
    return entry[0] & KIND_MASK == ZSET

# Read a score; False if it is none.
cdef bint read_score(const char* text, size_t size, double* score) noexcept nogil
cdef void out_score(Call call, double score) noexcept
cdef void out_item(Call call, const Item* item, bint scores, bint nested) noexcept
# Elements from a rank on, forwards or backwards; `nested`: pairs, each an array of its own.
cdef void out_elements(Call call, Cursor* cursor, int64_t first, int64_t count, bint reverse,
                       bint scores, bint nested) noexcept
# The head of such a reply.
cdef void out_elements_head(Call call, int64_t count, bint scores, bint nested) noexcept
