"""Bodies of MULTI, EXEC and DISCARD, and how a transaction ends. See commands/transactions.py."""

from libc.stdint cimport uint32_t

from spineldb.core.call cimport Call, body
from spineldb.core.dispatch cimport GATE_NO_MULTI, GATE_QUEUE, Dispatcher
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.resp cimport Slice, out_array, out_null_array, out_raw, out_truncate
from spineldb.core.session cimport DIRTY_WATCH, QUEUEING, REPLY_OFF, REPLY_SKIP, Session
from spineldb.core.transaction cimport Transaction

from spineldb import errors
from spineldb.core.keyspace import unwatch_all

cdef bytes NESTED = errors.MultiNested().wire
cdef bytes EXEC_ALONE = errors.WithoutMulti("EXEC").wire
cdef bytes DISCARD_ALONE = errors.WithoutMulti("DISCARD").wire
cdef bytes ABORTED = errors.ExecAborted().wire


def watch(Session session not None, Database db not None, list keys not None) -> None:
    """Have EXEC fail if one of these keys is changed before it.

    What has expired by now is deleted first: that is no change. Where it may not be deleted, it is
    noted that it was gone before. Once one key was changed, no other need be watched.
    """
    cdef Transaction transaction
    cdef Found found
    cdef bytes key
    if session.flags & DIRTY_WATCH:
        return
    transaction = transaction_of(session)
    for key in keys:
        db.named(key, &found)
        if session not in db.watched.get(key, ()):
            transaction.watched.append((db, key, found.expired))
            db.watch(key, session)


def unwatch(Session session not None) -> None:
    """Watch nothing any more."""
    cdef Transaction transaction = session.transaction
    if transaction is not None:
        unwatch_all(session)
        if not session.flags & QUEUEING:
            session.transaction = None
    session.flags &= ~<uint32_t>DIRTY_WATCH


def discard(Session session not None) -> None:
    """Forget what is queued and watched: EXEC, DISCARD, RESET, or the client is gone."""
    session.flags &= ~<uint32_t>QUEUEING
    session.gates &= ~<uint32_t>(GATE_QUEUE | GATE_NO_MULTI)
    unwatch(session)


cdef Transaction transaction_of(Session session):
    """A client's transaction, begun if need be."""
    if session.transaction is None:
        session.transaction = Transaction()
    return session.transaction


cdef int multi(Call call, Slice* argv, int argc) except -1:
    cdef Session session = call.client
    cdef Transaction transaction
    if session.flags & QUEUEING:
        return call.refuse(NESTED)
    transaction = transaction_of(session)
    transaction.owner = call.keyspace
    transaction.slabs = call.keyspace.slabs
    session.flags |= QUEUEING
    session.gates |= GATE_QUEUE | GATE_NO_MULTI
    out_raw(call.out, b"+OK\r\n", 5)
    return 0


cdef int exec_(Call call, Slice* argv, int argc) except -1:
    cdef Session session = call.client
    cdef size_t start = call.out.used
    cdef int pieces = call.out.piece_count
    cdef bint runs = open_reply(call, session)
    if session.flags & (REPLY_OFF | REPLY_SKIP):
        out_truncate(call.out, start, pieces)
    if runs:
        try:
            (<Dispatcher>call.executor).run_queued(session)
        finally:
            discard(session)
    return 0


cdef bint open_reply(Call call, Session session) except -1:
    """Begin EXEC's reply; False if that is all of it, as nothing may run."""
    cdef Transaction transaction = session.transaction
    if not session.flags & QUEUEING:
        call.refuse(EXEC_ALONE)
        return False
    for db, key, gone in transaction.watched:
        if not gone:
            find_expired(session, db, key)
    if transaction.broken or session.flags & DIRTY_WATCH:
        if transaction.broken:
            call.refuse(ABORTED)
        else:
            out_null_array(call.out, call.protocol)
        discard(session)
        return False
    if transaction.watched:
        unwatch(session)
    out_array(call.out, transaction.count)
    return True


cdef int find_expired(Session session, Database db, bytes key) except -1:
    """A key that was watched and whose time has passed meanwhile was changed by that."""
    cdef Found found
    db.named(key, &found)
    if found.expired:                        # it may not be deleted now, but it is gone
        session.flags |= DIRTY_WATCH
    return 0


cdef int discard_(Call call, Slice* argv, int argc) except -1:
    if not call.client.flags & QUEUEING:
        return call.refuse(DISCARD_ALONE)
    discard(call.client)
    out_raw(call.out, b"+OK\r\n", 5)
    return 0


MULTI_BODY = body(&multi, "multi")
EXEC_BODY = body(&exec_, "exec")
DISCARD_BODY = body(&discard_, "discard")
