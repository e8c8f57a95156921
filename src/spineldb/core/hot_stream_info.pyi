from spineldb.core.call import Body

XINFO_GROUPS_BODY: Body
XINFO_CONSUMERS_BODY: Body
XINFO_STREAM_BODY: Body
