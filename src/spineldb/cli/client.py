"""spineldb-cli: talk to a server from a shell, a pipe or a prompt.

Prints what redis-cli prints. Exit status: 0 all is well, 1 a reply was an error, 2 wrong usage,
3 no connection. `-e` only changes where errors go, as it does there.
"""

from __future__ import annotations

import argparse
import getpass
import importlib
import os
import ssl
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from spineldb.cli.quoting import UnbalancedQuotes, split
from spineldb.cli.session import Output, Session, Unreachable
from spineldb.client import DEFAULT_PORT, TLS_SCHEMES, Address
from spineldb.version import SPINELDB_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_ERROR_REPLY = 1
EXIT_NO_CONNECTION = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells count

_WARNING = (
    "Warning: Using a password with '-a' or '-u' option on the command line interface "
    "may not be safe."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        session = _session(options)
        words = _words(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        return _run(session, options, words)
    except Unreachable as error:
        print(error, file=sys.stderr)
        return EXIT_NO_CONNECTION
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        session.close()


def _run(session: Session, options: argparse.Namespace, words: list[bytes]) -> int:
    if words:
        session.repeat(words, options.repeat, options.interval)
        return EXIT_ERROR_REPLY if session.failed else 0
    if sys.stdin.isatty():
        # The prompt's library takes a tenth of a second to load, which one-shot commands save.
        importlib.import_module("spineldb.cli.prompt").run(session)
        return 0
    _obey_lines(session, options)
    return EXIT_ERROR_REPLY if session.failed else 0


def _obey_lines(session: Session, options: argparse.Namespace) -> None:
    """Ask what stands on the lines of the standard input."""
    for line in sys.stdin.buffer:
        try:
            words = split(line)
        except UnbalancedQuotes:
            print("Invalid argument(s)", flush=True)
            session.failed = True
            continue
        times = options.repeat
        if len(words) > 1 and words[0].isdigit():  # "5 INCR k" asks five times
            times, words = int(words[0]), words[1:]
        if [word.lower() for word in words] in ([b"quit"], [b"exit"]):
            return
        if words:
            session.repeat(words, times, options.interval)


def _words(options: argparse.Namespace) -> list[bytes]:
    """Return the command of the command line, completed from the standard input."""
    words = [os.fsencode(word) for word in options.command]
    if options.quoted_input:
        words = [_unquoted(word) for word in words]
    if not words or not (options.x or options.tag):
        return words
    content = sys.stdin.buffer.read()
    if options.x:
        return [*words, content]
    tag = os.fsencode(options.tag)
    if tag not in words:
        raise ValueError("Using -X requires the tag among the arguments")
    return [content if word == tag else word for word in words]


def _unquoted(word: bytes) -> bytes:
    if word[:1] not in (b'"', b"'"):
        return word
    (unquoted,) = split(word)
    return unquoted


def _session(options: argparse.Namespace) -> Session:
    """Return the session the options ask for; raises ValueError or OSError."""
    terminal = sys.stdout.isatty() or "FAKETTY" in os.environ
    output = Output(
        raw=options.raw if options.raw is not None else not terminal,
        pushes=options.show_pushes == "yes" if options.show_pushes else terminal,
        element_delimiter=_delimiter(options.element_delimiter),
        reply_delimiter=_delimiter(options.reply_delimiter),
        errors_to_stderr=options.errors_to_stderr,
    )
    return Session(
        _address(options), output, options.protocol, options.timeout, options.client_name
    )


def _delimiter(text: str) -> bytes:
    (delimiter,) = split(b'"' + os.fsencode(text) + b'"') or (b"",)
    return delimiter


def _address(options: argparse.Namespace) -> Address:
    secure = options.tls or str(options.url).partition("://")[0] in TLS_SCHEMES
    tls = _tls(options) if secure else None
    if options.url:
        address = Address.from_uri(options.url, tls)
    else:
        address = Address(options.host, options.port, tls=tls)
    address = replace(
        address, socket_path=options.socket, server_name=options.sni or address.server_name
    )
    if options.database is not None:
        address = replace(address, database=options.database)
    return _authenticated(address, options)


def _authenticated(address: Address, options: argparse.Namespace) -> Address:
    """Return the address with who we are: an option, the URL, or the environment."""
    told = options.password if options.password is not None else address.password
    if told is not None and not (options.no_auth_warning or options.askpass):
        print(_WARNING, file=sys.stderr)
    if options.askpass:
        told = getpass.getpass("Please input password: ")
    user = options.user or address.user
    if told is None:
        user, told = _from_environment(user)
    return replace(address, user=user, password=told)


def _from_environment(user: str | None) -> tuple[str | None, str | None]:
    """Return what SPINEL_AUTH (`[user:]password`) or REDISCLI_AUTH (a password) say."""
    ours = os.environ.get("SPINEL_AUTH")
    if ours is None:
        return user, os.environ.get("REDISCLI_AUTH")
    name, colon, password = ours.partition(":")
    return (user or name, password) if colon else (user, ours)


def _tls(options: argparse.Namespace) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.cacert, capath=options.cacertdir)
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not options.sni:
        context.check_hostname = False  # as redis-cli: the chain is verified, the name is not
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    if options.tls_ciphers:
        context.set_ciphers(options.tls_ciphers)
    return context


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spineldb-cli",
        description="Talk to SpinelDB, or to any server that speaks Redis's protocol.",
        add_help=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--help", action="help", help="show this help and exit")
    add("-v", "--version", action="version", version=f"spineldb-cli {SPINELDB_VERSION}")
    _add_connection(parser)
    _add_tls(parser)
    _add_input_output(parser)
    add("command", nargs=argparse.REMAINDER, help="a command and its arguments; none: a prompt")
    return parser


def _add_connection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("connection").add_argument
    add("-h", "-H", "--host", default="127.0.0.1", help="name or address (default: %(default)s)")
    add("-p", "--port", type=int, default=DEFAULT_PORT, help="port (default: %(default)s)")
    add("-s", "--socket", help="unix socket, instead of host and port")
    add("-u", "--url", help="redis://[user:password@]host[:port][/db]; rediss:// for TLS")
    add("-a", "--pass", "--password", dest="password", help="password; better in SPINEL_AUTH")
    add("--user", help="user name, with a password")
    add("--askpass", action="store_true", help="ask for the password")
    add("--no-auth-warning", action="store_true", help="do not warn about passwords in arguments")
    add("-n", "--db", dest="database", type=int, help="database number")
    add("-2", dest="protocol", action="store_const", const=2, default=2, help="speak RESP2")
    add("-3", dest="protocol", action="store_const", const=3, help="speak RESP3")
    add("-t", "--timeout", type=float, help="seconds to wait for the server (default: for ever)")
    add("--client-name", help="name of the connection")


def _add_tls(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("TLS").add_argument
    add("--tls", action="store_true", help="connect with TLS")
    add("--sni", help="the server's name, which its certificate must carry")
    add("--cacert", help="file of trusted certificates (default: the system's)")
    add("--cacertdir", help="folder of trusted certificates")
    add("--insecure", action="store_true", help="trust any certificate")
    add("--cert", help="our certificate")
    add("--key", help="its private key")
    add("--tls-ciphers", help="ciphers up to TLS 1.2, as OpenSSL names them")


def _add_input_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("input and output").add_argument
    add("-r", dest="repeat", type=int, default=1, help="ask so many times; -1: for ever")
    add("-i", dest="interval", type=float, default=0.0, help="seconds between repetitions")
    add("-x", action="store_true", help="read the last argument from the standard input")
    add("-X", dest="tag", help="read the argument that is this word from the standard input")
    add("--quoted-input", action="store_true", help="arguments may be quoted strings")
    add("--raw", action="store_true", default=None, help="print bytes as they are")
    add("--no-raw", dest="raw", action="store_false", help="print for people, also to a pipe")
    add("-d", dest="element_delimiter", default="\\n", help="between elements of raw replies")
    add("-D", dest="reply_delimiter", default="\\n", help="between raw replies")
    add("-e", dest="errors_to_stderr", action="store_true", help="print errors to stderr")
    add("--show-pushes", choices=["yes", "no"], help="print RESP3 pushes")


if __name__ == "__main__":
    sys.exit(main())
