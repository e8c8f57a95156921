from spineldb.core.call import Body

SRANDMEMBER_BODY: Body
SPOP_BODY: Body
