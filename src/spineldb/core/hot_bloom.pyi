from spineldb.core.call import Body

DEFAULT_PLAN: tuple[float, int, int, bool]

ADD_BODY: Body
MADD_BODY: Body
EXISTS_BODY: Body
MEXISTS_BODY: Body
