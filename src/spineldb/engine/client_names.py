"""Names and addresses of clients: what they may call themselves, where they come from."""

from __future__ import annotations

from spineldb import errors
from spineldb.core.session import Session, SessionFlag


def is_printable(name: bytes) -> bool:
    """Tell whether CLIENT LIST can show the name: no spaces, newlines or special characters."""
    return all(0x21 <= byte <= 0x7E for byte in name)


def check_name(name: bytes) -> str:
    """Return a connection's name as text, or raise `errors.ClientName`."""
    if not is_printable(name):
        raise errors.ClientName
    return name.decode("ascii")


def is_local(session: Session) -> bool:
    """Tell whether the client is on this machine, or in this process."""
    if session.has(SessionFlag.UNIX_SOCKET):
        return True
    host = session.address.rpartition(":")[0].strip("[]")
    return host.startswith("127.") or host in {"::1", "", "::ffff:127.0.0.1", "embedded"}
