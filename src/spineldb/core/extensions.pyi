from typing import ClassVar

from spineldb.core.database import Database, View

class ExtensionView(View):
    FORM: ClassVar[int]

def pieces_of(db: Database, key: bytes) -> list[bytes]: ...
