"""What a client may call itself and its library."""

from __future__ import annotations

from spineldb import errors


def is_printable(name: bytes) -> bool:
    """Tell whether CLIENT LIST can show the name: no spaces, newlines or special characters."""
    return all(0x21 <= byte <= 0x7E for byte in name)


def check_name(name: bytes) -> str:
    """Return a connection's name as text, or raise `errors.ClientName`."""
    if not is_printable(name):
        raise errors.ClientName
    return name.decode("ascii")
