from spineldb.core.call import Body

SADD_BODY: Body
SREM_BODY: Body
SMOVE_BODY: Body
SISMEMBER_BODY: Body
SMISMEMBER_BODY: Body
SCARD_BODY: Body
SMEMBERS_BODY: Body
SSCAN_BODY: Body
