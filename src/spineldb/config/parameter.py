"""How a parameter is declared: `max_clients = Parameter(Integer(1), 10000, "maxclients")`.

A section is a class that mirrors a table of the TOML file. The declaration is all there is of a
parameter: attribute and table give its TOML path, the kind its grammar and type, the names what
CONFIG GET and redis.conf call it. Read from an instance of the section the attribute is the value,
and a type checker knows its type; read from the class it is the declaration.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, overload

from spineldb.config.kinds import Kind

T = TypeVar("T")


class Change(Enum):
    """When a parameter may change."""

    RUNTIME = "at run time"
    APPLIED = "at run time, where the server applies it"  # immutable while nobody subscribes
    START = "at start"
    PROTECTED = "at start, or at run time with enable-protected-configs"


class Parameter(Generic[T]):
    """One parameter. `names` are Redis's for it; CONFIG REWRITE writes the first one."""

    __slots__ = ("about", "change", "default", "kind", "listed", "names", "path", "secret")

    def __init__(
        self,
        kind: Kind[T],
        default: T,
        *names: str,
        about: str = "",
        change: Change = Change.RUNTIME,
        secret: bool = False,
        listed: bool = True,
    ) -> None:
        self.kind = kind
        self.default = default
        self.names = names
        self.about = about
        self.change = change
        self.secret = secret  # never shown in logs and messages
        self.listed = listed  # False: CONFIG does not know it
        self.path = ""

    @overload
    def __get__(self, section: None, owner: type) -> Parameter[T]: ...

    @overload
    def __get__(self, section: object, owner: type) -> T: ...

    def __get__(self, section: object, owner: type) -> Parameter[T] | T:
        # Sections keep values in their __dict__, where an instance finds them before this method.
        return self

    def __repr__(self) -> str:
        return f"Parameter({self.path!r})"


class Section:
    """A table of the configuration; subclass with `table="limits"`."""

    table: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter[Any], ...]] = ()

    def __init_subclass__(cls, table: str = "", **kwargs: Any) -> None:
        """Tell each parameter its path and gather them."""
        super().__init_subclass__(**kwargs)
        cls.table = table
        own: dict[str, Parameter[Any]] = {
            name: item for name, item in vars(cls).items() if isinstance(item, Parameter)
        }
        for name, parameter in own.items():
            parameter.path = f"{table}.{name}" if table else name
        cls.parameters = (*cls.parameters, *own.values())

    def __init__(self) -> None:
        values = vars(self)
        for parameter in self.parameters:
            values[parameter.path.rpartition(".")[2]] = parameter.default


class Values(Protocol):
    """What a view needs of the settings."""

    def value(self, parameter: Parameter[T]) -> T:
        """Return the current value."""
        ...


Assignments = list[tuple[Parameter[Any], Any]]


class View:
    """A Redis parameter that is not stored but read from, and written to, others."""

    __slots__ = ("change", "names", "read", "several_words", "targets", "write")

    listed = True
    secret = False

    def __init__(
        self,
        names: tuple[str, ...],
        read: Callable[[Values], str],
        write: Callable[[Values, str], Assignments],
        targets: tuple[Parameter[Any], ...],
        change: Change = Change.RUNTIME,
        several_words: bool = False,
    ) -> None:
        self.names = names
        self.read = read
        self.write = write
        self.targets = targets
        self.change = change
        self.several_words = several_words


if TYPE_CHECKING:
    Entry = Parameter[Any] | View
