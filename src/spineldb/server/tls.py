"""TLS: contexts made from the settings, and clients whose bytes asyncio encrypts.

The reactor accepts; the handshake and the encryption are asyncio's (`ssl`), and what is decrypted
goes through the same turns as everything else. Each client gets the context that is in force when
it connects, so certificates are exchanged without dropping anybody: `Encryption.reload` makes a new
context, and those who are connected keep theirs.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, cast

from spineldb import errors
from spineldb.config.kinds import Refused
from spineldb.config.parameters import Tls
from spineldb.config.settings import Source
from spineldb.observability.logging import get_log

if TYPE_CHECKING:
    from spineldb.config.settings import Settings
    from spineldb.core.reactor import Reactor, Stream

log = get_log(__name__)

WRITE_BUFFER_BYTES = 65536  # encrypted and not sent; what more waits counts as the client's output
SHUTDOWN_SECONDS = 5.0  # for the peer to say that it has understood the end

_VERSIONS = {
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def make_context(settings: Settings) -> ssl.SSLContext:
    """Return a server's context; raise `OSError` (`ssl.SSLError` is one) or `ValueError`."""
    tls = settings.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if tls.prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if not tls.session_caching:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    _limit_versions(context, tls)
    if tls.ciphers:
        context.set_ciphers(tls.ciphers)
    if tls.cipher_suites:
        log.warning("tls-ciphersuites has no effect: this Python cannot choose them")
    context.load_cert_chain(tls.cert_path, tls.key_path, lambda: tls.key_passphrase)
    if tls.dh_params_path:
        context.load_dh_params(tls.dh_params_path)
    _ask_for_certificates(context, settings)
    return context


def _limit_versions(context: ssl.SSLContext, tls: Tls) -> None:
    """Allow the versions that the settings name, and those between them."""
    names = tls.protocols.split()
    unknown = [name for name in names if name not in _VERSIONS]
    if unknown:
        raise ValueError(f"unknown TLS version: {unknown[0]}")
    versions = sorted(_VERSIONS[name] for name in names)
    context.minimum_version = versions[0] if versions else _VERSIONS[tls.min_version]
    if versions:
        context.maximum_version = versions[-1]


def _ask_for_certificates(context: ssl.SSLContext, settings: Settings) -> None:
    """Have clients show a certificate if the settings say so.

    They do by default, as in Redis; but a configuration of the original has no authority that
    could have signed one, and its clients are not asked.
    """
    tls = settings.tls
    if tls.client_auth == "no":
        return
    if not (tls.ca_cert_path or tls.ca_cert_dir):
        if settings.source(Tls.client_auth) is Source.DEFAULT:
            return
        raise ValueError("tls.client_auth needs tls.ca_cert_path or tls.ca_cert_dir")
    context.load_verify_locations(tls.ca_cert_path or None, tls.ca_cert_dir or None)
    optional = tls.client_auth == "optional"
    context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED


class Encryption:
    """What the TLS listeners of a server share: the context in force, and handshakes under way."""

    def __init__(self, network: Reactor, settings: Settings) -> None:
        self._network = network
        self._settings = settings
        self._context = make_context(settings)
        self._handshakes: set[asyncio.Task[None]] = set()
        self.failed_handshakes = 0

    def reload(self) -> None:
        """Read the certificates again for later clients; raise `Refused` and keep the old ones."""
        try:
            self._context = make_context(self._settings)
        except (OSError, ValueError) as error:
            log.error("the TLS configuration cannot be used", reason=str(error))  # noqa: TRY400
            raise Refused(errors.BAD_TLS) from error

    def accept(self, descriptor: int) -> None:
        """Take a new connection from a listener and begin its handshake."""
        client = socket.socket(fileno=descriptor)
        if len(self._handshakes) >= self._settings.limits.max_unauthenticated_clients:
            client.close()
            return
        task = asyncio.get_running_loop().create_task(self._shake_hands(client))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Client(self._network),
                client,
                ssl=self._context,
                ssl_handshake_timeout=self._settings.limits.handshake_timeout or None,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except (OSError, ValueError) as error:
            self.failed_handshakes += 1
            log.verbose("a TLS handshake failed", reason=str(error) or type(error).__name__)
            client.close()
        except asyncio.CancelledError:
            client.close()

    def close(self) -> None:
        """Give up handshakes that are under way."""
        for task in self._handshakes:
            task.cancel()


class Client(asyncio.Protocol):
    """Carries the decrypted bytes of one client."""

    def __init__(self, network: Reactor) -> None:
        self._network = network
        self._stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client: the handshake has succeeded."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._stream = self._network.stream(
            transport,
            _address(transport.get_extra_info("peername")),
            _address(transport.get_extra_info("sockname")),
        )

    def data_received(self, data: bytes) -> None:
        """Execute what has come."""
        if self._stream is not None:
            self._stream.data_received(data)

    def eof_received(self) -> None:
        """Answer what has come before the transport closes: TLS has no half-closed connections."""
        if self._stream is not None:
            self._stream.eof_received()
            self._network.turn()

    def pause_writing(self) -> None:
        """Keep further output back."""
        if self._stream is not None:
            self._stream.pause_writing()

    def resume_writing(self) -> None:
        """Go on with the output."""
        if self._stream is not None:
            self._stream.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        del exc
        if self._stream is not None:
            self._stream.connection_lost()
            self._stream = None


def _address(name: tuple[object, ...] | str | None) -> str:
    """Write a socket's address as plain clients' are."""
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return f"{name or '?'}:0"
