from spineldb.core.call import Body, Call

XADD_BODY: Body
XTRIM_BODY: Body
XLEN_BODY: Body
XRANGE_BODY: Body
XREVRANGE_BODY: Body
XDEL_BODY: Body
XACK_BODY: Body

def read(
    call: Call, grouped: bool, args: tuple[bytes, ...]
) -> tuple[int | None, list[bytes], list[bytes]] | None: ...
