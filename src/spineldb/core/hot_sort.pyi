from spineldb.core.call import Body

SORT_BODY: Body
SORT_RO_BODY: Body
