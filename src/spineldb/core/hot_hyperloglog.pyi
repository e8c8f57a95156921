from spineldb.core.call import Body

PFADD_BODY: Body
PFCOUNT_BODY: Body
PFMERGE_BODY: Body
