from spineldb.core.call import Body, Call

LPUSH_BODY: Body
RPUSH_BODY: Body
LPUSHX_BODY: Body
RPUSHX_BODY: Body
LPOP_BODY: Body
RPOP_BODY: Body
LMPOP_BODY: Body
LMOVE_BODY: Body
RPOPLPUSH_BODY: Body
LLEN_BODY: Body
LRANGE_BODY: Body
LINDEX_BODY: Body
LPOS_BODY: Body
LSET_BODY: Body
LINSERT_BODY: Body
LREM_BODY: Body
LTRIM_BODY: Body

def pop_first(
    call: Call, keys: tuple[bytes, ...], left: bool, count: int = -1
) -> list[bytes | list[bytes]] | None: ...
def move_first(
    call: Call, source: bytes, destination: bytes, from_left: bool, to_left: bool
) -> bytes | None: ...
