"""Channels: who hears what is published."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from spineldb.core.resp cimport Output, Slice

cpdef enum ChannelKind:
    CHANNEL = 0                  # SUBSCRIBE
    PATTERN = 1                  # PSUBSCRIBE
    SHARD = 2                    # SSUBSCRIBE

cdef class Subscriptions:        # of one client, in the order in which they were made
    cdef readonly dict channels, patterns, shard_channels    # name -> None
    cdef dict of(self, int kind)

cdef class Channels:
    cdef readonly dict channels, patterns, shard_channels    # name -> {session: None}
    # (session, frame): pushes to the client whose command runs; they follow its reply
    cdef readonly list pushes
    cdef PyObject* executing     # that client, borrowed; NULL between commands

    cdef dict of(self, int kind)
    # Publish to a channel, and how many clients heard it. A message in a block is not copied.
    cdef int64_t publish(self, Slice* channel, Slice* message) except -1
    cdef int64_t publish_shard(self, Slice* channel, Slice* message) except -1
    cdef int deliver(self, dict subscribers, Output* head, Slice* message) except -1
    # Send what followed the reply of the command that ran.
    cdef int flush(self) except -1
