from spineldb.core.call import Body

PUBLISH_BODY: Body
SPUBLISH_BODY: Body
