from spineldb.core.call import Body

DBSIZE_BODY: Body
SWAPDB_BODY: Body
TIME_BODY: Body
