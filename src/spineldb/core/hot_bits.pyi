from spineldb.core.call import Body

SETBIT_BODY: Body
GETBIT_BODY: Body
BITCOUNT_BODY: Body
BITPOS_BODY: Body
BITOP_BODY: Body
BITFIELD_BODY: Body
BITFIELD_RO_BODY: Body
