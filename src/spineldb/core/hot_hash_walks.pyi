from spineldb.core.call import Body

HSCAN_BODY: Body
HRANDFIELD_BODY: Body
