from spineldb.core.call import Body

LCS_BODY: Body
