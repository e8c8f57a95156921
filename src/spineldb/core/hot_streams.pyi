from spineldb.core.call import Body, Call

XADD_BODY: Body
XTRIM_BODY: Body
XLEN_BODY: Body
XRANGE_BODY: Body
XREVRANGE_BODY: Body
XDEL_BODY: Body
XACK_BODY: Body
XREAD_BODY: Body
XREADGROUP_BODY: Body

def awaited(call: Call, grouped: bool) -> tuple[int, list[bytes], list[bytes]]: ...
