from spineldb.core.call import Body
from spineldb.core.keyspace import Database
from spineldb.core.session import Session

MULTI_BODY: Body
EXEC_BODY: Body
DISCARD_BODY: Body

def watch(session: Session, db: Database, keys: list[bytes]) -> None: ...
def unwatch(session: Session) -> None: ...
def discard(session: Session) -> None: ...
