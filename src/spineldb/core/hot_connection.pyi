from spineldb.core.call import Body

PING_BODY: Body
ECHO_BODY: Body
SELECT_BODY: Body
CLIENT_ID_BODY: Body
