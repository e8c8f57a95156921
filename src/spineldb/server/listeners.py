"""What a server listens on: TCP addresses, TLS, a unix socket, or sockets that it was handed.

`host` (Redis's `bind`) names addresses; `*` is all of IPv4, `::*` all of IPv6, and an address with
`-` before it may be missing on this machine. They are served on `port`, and with TLS on `tls.port`.
When CONFIG SET changes one of these, what is new is opened before what is gone is closed; who is
connected stays.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.config.kinds import Refused
from spineldb.core.reactor import Listener
from spineldb.observability.logging import get_log
from spineldb.server.tls import Encryption

if TYPE_CHECKING:
    from spineldb.config.settings import Settings
    from spineldb.core.reactor import Reactor

log = get_log(__name__)

KEEPALIVE_PROBES = 3
_KEEPALIVE_IDLE: int = getattr(socket, "TCP_KEEPIDLE", 0) or getattr(socket, "TCP_KEEPALIVE", 0)
_CONGESTION: int = getattr(socket, "TCP_CONGESTION", 0)
_UNPACED = (b"reno", b"cubic")  # the first is in every kernel, and everybody may take it

# What binding answers when this machine has no such address, or no such kind of address.
_MISSING = {errno.EADDRNOTAVAIL}
_UNSUPPORTED = {
    errno.ENOPROTOOPT,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
    errno.EPFNOSUPPORT,
    errno.EAFNOSUPPORT,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something to listen on."""

    kind: str  # tcp, tls, unix: as INFO calls them
    address: str  # a word of `bind`, or a path
    port: int = 0

    @property
    def is_optional(self) -> bool:
        """Whether the server may start without it."""
        return self.address.startswith("-")


class Listeners:
    """The listening sockets of one server."""

    def __init__(self, network: Reactor, settings: Settings) -> None:
        self._network = network
        self._settings = settings
        self._open: dict[Endpoint, list[Listener]] = {}
        self._paths: dict[Path, int] = {}  # unix sockets that are ours to remove, with their inode
        self._encryption: Encryption | None = None

    # -- opening and closing -----------------------------------------------------------------------

    def open(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen on `sockets`, which are bound, or on what the settings say.

        Raises `OSError` if an address cannot be bound or TLS cannot be set up.
        """
        if sockets is None:
            self._follow_settings()
            settings = self._settings
            settings.subscribe(lambda: self._rebind(errors.BAD_ADDRESSES), "bind")
            settings.subscribe(lambda: self._rebind(errors.BAD_PORT), "port", "tls-port")
        else:
            for sock in sockets:
                self._adopt(sock)
        self._settings.subscribe(self.reload_certificates, *_TLS_PARAMETERS)
        self._settings.subscribe(self._set_keepalive, "tcp-keepalive")

    def close(self) -> None:
        """Listen no more, and remove unix sockets."""
        for endpoint in list(self._open):
            self._close(endpoint)
        if self._encryption is not None:
            self._encryption.close()

    def reload_certificates(self) -> None:
        """Read certificates and keys again; raise `Refused` and keep the old ones if they fail."""
        if self._encryption is not None:
            self._encryption.reload()

    def _rebind(self, refusal: str) -> None:
        try:
            self._follow_settings()
        except OSError as error:
            log.error("cannot listen", reason=str(error))  # noqa: TRY400 - no fault of ours
            raise Refused(refusal) from error

    def _follow_settings(self) -> None:
        """Open what the settings name and is not open, then close what they name no more."""
        wanted = list(self._wanted())
        opened: list[Endpoint] = []
        try:
            for endpoint in wanted:
                if endpoint not in self._open:
                    self._listen(endpoint)
                    opened.append(endpoint)
            _check_some(wanted, self._open)
        except OSError:
            for endpoint in opened:
                self._close(endpoint)
            raise
        for endpoint in set(self._open).difference(wanted):
            self._close(endpoint)

    def _wanted(self) -> Iterator[Endpoint]:
        settings = self._settings
        ports = [("tls" if settings.tls.enabled else "tcp", settings.port)]
        ports.append(("tls", settings.tls.port))
        for kind, port in ports:
            for word in settings.host if port else ():
                yield Endpoint(kind, word, port)
        if settings.unix_socket:
            yield Endpoint("unix", settings.unix_socket)

    def _listen(self, endpoint: Endpoint) -> None:
        """Open an endpoint; none of its sockets stays open if one fails."""
        listeners: list[Listener] = []
        try:
            if endpoint.kind == "unix":
                listeners.append(self._serve(self._bind_unix(Path(endpoint.address)), "unix"))
            else:
                listeners.extend(self._serve(sock, endpoint.kind) for sock in self._bind(endpoint))
        except OSError:
            for listener in listeners:
                listener.close()
            raise
        self._open[endpoint] = listeners

    def _adopt(self, sock: socket.socket) -> None:
        """Listen on a socket that somebody else has bound."""
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            endpoint = Endpoint("unix", os.fsdecode(name))
        else:
            kind = "tls" if self._settings.tls.enabled else "tcp"
            endpoint = Endpoint(kind, name[0], name[1])
        self._open.setdefault(endpoint, []).append(self._serve(sock, endpoint.kind))

    def _close(self, endpoint: Endpoint) -> None:
        for listener in self._open.pop(endpoint, ()):
            listener.close()
        path = Path(endpoint.address)
        inode = self._paths.pop(path, None) if endpoint.kind == "unix" else None
        with suppress(OSError):
            if inode is not None and path.stat().st_ino == inode:
                path.unlink()

    # -- sockets -----------------------------------------------------------------------------------

    def _serve(self, sock: socket.socket, kind: str) -> Listener:
        """Begin to accept from a bound socket."""
        try:
            if kind != "unix":
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # clients inherit it
                _keep_alive(sock, self._settings.tcp_keepalive)
            sock.listen(self._settings.tcp_backlog)
            if kind != "tls":
                remote = _hurry(sock) if kind != "unix" else None
                return self._network.listen(sock, _name(sock), remote_congestion=remote)
            if self._encryption is None:
                self._encryption = Encryption(self._network, self._settings)
            return self._network.listen(sock, _name(sock), self._encryption.accept)
        except ValueError as error:
            sock.close()
            raise OSError(errno.EINVAL, str(error)) from error
        except OSError:
            sock.close()
            raise

    def _bind(self, endpoint: Endpoint) -> Iterable[socket.socket]:
        """Bind every address that a word of `bind` stands for."""
        word = endpoint.address.removeprefix("-")
        hosts = {"*": "0.0.0.0", "::*": "::"}  # noqa: S104 - somebody wrote it there
        bound: list[socket.socket] = []
        try:
            found = socket.getaddrinfo(
                hosts.get(word, word), endpoint.port, type=socket.SOCK_STREAM,
                flags=socket.AI_PASSIVE,
            )  # fmt: skip
            for family, kind, protocol, _, address in dict.fromkeys(found):
                bound.append(_bind_one(family, kind, protocol, address))
        except OSError as error:
            for sock in bound:
                sock.close()
            absent = isinstance(error, socket.gaierror) or error.errno in _MISSING
            if error.errno in _UNSUPPORTED or (endpoint.is_optional and absent):
                return []
            raise OSError(
                error.errno, f"{word}:{endpoint.port}: {error.strerror or error}"
            ) from error
        return bound

    def _bind_unix(self, path: Path) -> socket.socket:
        """Bind a path, where the socket of a server that is gone may still stand."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _clear(path)
            sock.bind(str(path))
            if self._settings.unix_socket_perm:
                path.chmod(stat.S_IMODE(self._settings.unix_socket_perm))
            self._paths[path] = path.stat().st_ino
        except OSError:
            sock.close()
            raise
        return sock

    def _set_keepalive(self) -> None:
        for listener in self._all():
            if listener.socket.family != socket.AF_UNIX:
                _keep_alive(listener.socket, self._settings.tcp_keepalive)

    def _all(self) -> Iterator[Listener]:
        for listeners in self._open.values():
            yield from listeners

    # -- showing -----------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The TCP port, 0 if there is none; that of TLS only if there is no other."""
        ports = {
            endpoint.kind: listeners[0].socket.getsockname()[1]
            for endpoint, listeners in self._open.items()
            if endpoint.kind != "unix" and listeners
        }
        return ports.get("tcp") or ports.get("tls") or 0

    @property
    def described(self) -> list[str]:
        """What is listened on, as INFO shows it: `name=tcp,bind=127.0.0.1,port=7878`."""
        groups: dict[tuple[str, int], list[str]] = {}
        for endpoint, listeners in self._open.items():
            if listeners:
                group = groups.setdefault((endpoint.kind, endpoint.port), [])
                group.append(f"bind={endpoint.address}")
        return [
            ",".join([f"name={kind}", *binds, *([f"port={port}"] if port else [])])
            for (kind, port), binds in groups.items()
        ]


_TLS_PARAMETERS = (
    "tls-cert-file",
    "tls-key-file",
    "tls-key-file-pass",
    "tls-ca-cert-file",
    "tls-ca-cert-dir",
    "tls-dh-params-file",
    "tls-auth-clients",
    "tls-protocols",
    "tls-ciphers",
    "tls-ciphersuites",
    "tls-prefer-server-ciphers",
    "tls-session-caching",
    "tls.min_version",
)


def _bind_one(
    family: int, kind: int, protocol: int, address: tuple[str | int, ...] | tuple[int, bytes]
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _keep_alive(sock: socket.socket, seconds: int) -> None:
    """Have the kernel ask silent peers whether they live; accepted sockets inherit it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1 if seconds else 0)
    if seconds and _KEEPALIVE_IDLE:
        sock.setsockopt(socket.IPPROTO_TCP, _KEEPALIVE_IDLE, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // 3, 1))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def _hurry(sock: socket.socket) -> bytes | None:
    """Have clients of this machine sent to without pacing; return the control for all others.

    None if the system's control does not pace anyhow. See docs/decisions/0013.
    """
    if not _CONGESTION:
        return None
    usual = sock.getsockopt(socket.IPPROTO_TCP, _CONGESTION, 16).rstrip(b"\0")
    if usual in _UNPACED:
        return None
    try:
        sock.setsockopt(socket.IPPROTO_TCP, _CONGESTION, _UNPACED[0])
    except OSError:
        return None
    return usual


def _check_some(wanted: Iterable[Endpoint], opened: Mapping[Endpoint, list[Listener]]) -> None:
    """Raise if addresses are wanted and this machine has none of them."""
    endpoints = list(wanted)
    if endpoints and not any(opened.get(endpoint) for endpoint in endpoints):
        raise OSError(errno.EADDRNOTAVAIL, "none of the addresses can be bound")


def _clear(path: Path) -> None:
    """Remove the unix socket of a server that is gone; raise if one still answers there."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, f"{path}: a server listens there")
    path.unlink()


def _name(sock: socket.socket) -> str:
    """Write a bound socket's address: `127.0.0.1:7878`, `[::1]:7878`, `/run/spineldb.sock`."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return os.fsdecode(name)
    host, port = name[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"
