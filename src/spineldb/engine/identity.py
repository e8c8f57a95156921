"""What the server says it is, where clients ask."""

from __future__ import annotations

#: HELLO's `server`: redis-py and others choose their features by this name (data-types V1).
SERVER_NAME = b"redis"
