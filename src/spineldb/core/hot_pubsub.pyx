"""Bodies of PUBLISH and SPUBLISH. What they do: commands/pubsub.py."""

from spineldb.core.call cimport Call, body
from spineldb.core.resp cimport Slice, out_int


cdef int publish(Call call, Slice* argv, int argc) except -1:
    out_int(call.out, call.effects.channels.publish(&argv[1], &argv[2]))
    return 0


cdef int spublish(Call call, Slice* argv, int argc) except -1:
    out_int(call.out, call.effects.channels.publish_shard(&argv[1], &argv[2]))
    return 0


PUBLISH_BODY = body(&publish, "publish")
SPUBLISH_BODY = body(&spublish, "spublish")
