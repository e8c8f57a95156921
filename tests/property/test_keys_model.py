"""Keys, deadlines and databases behave like dictionaries, whatever is done to them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.support.composed import Composed

NAMES = st.sampled_from([b"", b"a", b"b", b"key:3", b"\x00\xff", b"w" * 300])
DATABASES = st.integers(0, 3)
VALUES = st.sampled_from([b"", b"1", b"twelve bytes", b"n" * 255, b"w" * 256, b"o" * 2500])
TIMES = st.one_of(
    st.integers(-10, 400), st.integers(1, 5_000_000), st.just(1 << 48), st.just(1 << 49)
)
CONDITIONS = st.sampled_from([[], ["NX"], ["XX"], ["GT"], ["LT"], ["XX", "GT"], ["XX", "LT"]])

TICK_MS = 16  # what has expired by the end of a tick of the wheel is deleted then

Model = dict[bytes, tuple[bytes, int]]


def stands(conditions: list[str], new: int, current: int) -> bool:
    """Say whether EXPIRE's conditions hold."""
    never = 1 << 62
    known = never if current < 0 else current
    tests = {
        "NX": current < 0,
        "XX": current >= 0,
        "GT": current >= 0 and new > known,
        "LT": new < known,
    }
    return all(tests[condition] for condition in conditions)


class Keys(RuleBasedStateMachine):
    """The engine beside four dictionaries of (value, deadline)."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Composed()
        self.empty = self.server.keyspace.used_memory
        self.model: list[Model] = [{} for _ in range(4)]

    def alive(self, database: int) -> Model:
        """Return what has not expired, after forgetting the rest."""
        now = self.server.now_ms
        model = self.model[database]
        for key in [key for key, (_, at) in model.items() if 0 <= at <= now]:
            del model[key]
        return model

    def ask(self, database: int, *words: bytes | str | int) -> object:
        """Send a request to one of the databases."""
        self.server.select(database)
        return self.server.ask(*words)

    @rule(database=DATABASES, key=NAMES, value=VALUES, in_ms=st.none() | st.integers(1, 3000))
    def set(self, database: int, key: bytes, value: bytes, in_ms: int | None) -> None:
        """SET, with or without a time."""
        options: list[str | int] = [] if in_ms is None else ["PX", in_ms]
        assert self.ask(database, "SET", key, value, *options) == "OK"
        deadline = -1 if in_ms is None else self.server.now_ms + in_ms
        self.model[database][key] = (value, deadline)

    @rule(database=DATABASES, keys=st.lists(NAMES, min_size=1, max_size=4))
    def delete(self, database: int, keys: list[bytes]) -> None:
        """EXISTS and UNLINK."""
        model = self.alive(database)
        there = {key for key in keys if key in model}
        assert self.ask(database, "EXISTS", *keys) == sum(key in model for key in keys)
        assert self.ask(database, "UNLINK", *keys) == len(there)
        for key in there:
            del model[key]

    @rule(
        database=DATABASES,
        key=NAMES,
        time=TIMES,
        conditions=CONDITIONS,
        command=st.sampled_from(["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]),
    )
    def expire(
        self, database: int, key: bytes, time: int, conditions: list[str], command: str
    ) -> None:
        """EXPIRE and its kin, under conditions."""
        model = self.alive(database)
        now = self.server.now_ms
        deadline = time + (now if command.endswith("AT") else 0)
        argument = deadline
        if command in {"EXPIRE", "EXPIREAT"}:
            argument, deadline = deadline // 1000, deadline // 1000 * 1000
        if not command.endswith("AT"):
            deadline += now
        reply = self.ask(database, command, key, argument, *conditions)
        expected = key in model and stands(conditions, deadline, model[key][1])
        assert reply == expected
        if expected and deadline <= now:
            del model[key]
        elif expected:
            model[key] = (model[key][0], deadline)

    @rule(database=DATABASES, key=NAMES)
    def persist(self, database: int, key: bytes) -> None:
        """PERSIST."""
        model = self.alive(database)
        had_one = key in model and model[key][1] >= 0
        assert self.ask(database, "PERSIST", key) == had_one
        if had_one:
            model[key] = (model[key][0], -1)

    @rule(database=DATABASES, key=NAMES, name=NAMES, only_new=st.booleans())
    def rename(self, database: int, key: bytes, name: bytes, only_new: bool) -> None:
        """RENAME and RENAMENX."""
        model = self.alive(database)
        reply = self.ask(database, "RENAMENX" if only_new else "RENAME", key, name)
        if key not in model:
            assert reply == "ERR no such key"
        elif only_new and name in model:
            assert reply == 0
        else:
            assert reply == (1 if only_new else "OK")
            model[name] = model.pop(key)

    @rule(database=DATABASES, key=NAMES, to=DATABASES, name=NAMES, replace=st.booleans())
    def copy(self, database: int, key: bytes, to: int, name: bytes, replace: bool) -> None:
        """COPY, within a database or to another."""
        model, target = self.alive(database), self.alive(to)
        options = ["REPLACE"] if replace else []
        reply = self.ask(database, "COPY", key, name, "DB", to, *options)
        if database == to and key == name:
            assert reply == "ERR source and destination objects are the same"
            return
        expected = key in model and (replace or name not in target)
        assert reply == expected
        if expected:
            target[name] = model[key]

    @rule(database=DATABASES, key=NAMES, to=DATABASES)
    def move(self, database: int, key: bytes, to: int) -> None:
        """MOVE."""
        model, target = self.alive(database), self.alive(to)
        reply = self.ask(database, "MOVE", key, to)
        if database == to:
            assert reply == "ERR source and destination objects are the same"
            return
        expected = key in model and key not in target
        assert reply == expected
        if expected:
            target[key] = model.pop(key)

    @rule(one=DATABASES, other=DATABASES)
    def swap(self, one: int, other: int) -> None:
        """SWAPDB."""
        assert self.server.ask("SWAPDB", one, other) == "OK"
        self.model[one], self.model[other] = self.model[other], self.model[one]

    @rule(database=DATABASES)
    def flush(self, database: int) -> None:
        """FLUSHDB."""
        assert self.ask(database, "FLUSHDB") == "OK"
        self.model[database] = {}

    @rule(by=st.one_of(st.integers(1, 100), st.integers(1, 10_000_000)), fire=st.booleans())
    def pass_time(self, by: int, fire: bool) -> None:
        """Let the clock run; what is due is deleted at once, or found later."""
        self.server.pass_time(by, fire=fire)

    @rule(database=DATABASES)
    def list_keys(self, database: int) -> None:
        """KEYS and RANDOMKEY."""
        model = self.alive(database)
        assert sorted(self.ask(database, "KEYS", "*")) == sorted(model)  # type: ignore[call-overload]
        chosen = self.ask(database, "RANDOMKEY")
        assert chosen in model if model else chosen is None

    # These are rules and no invariants: looking buries what has expired, and between two looks it
    # must be found by the commands.

    @rule()
    def compare_contents(self) -> None:
        """All keys have their values and deadlines."""
        expected = {number: dict(self.alive(number)) for number in range(4) if self.alive(number)}
        assert self.server.contents() == expected

    @rule()
    def compare_sums(self) -> None:
        """What the engine counts beside the keys is right."""
        self.server.pass_time(-self.server.now_ms % TICK_MS)
        for number in range(4):
            model = self.alive(number)
            database = self.server.keyspace.databases[number]
            assert database.deadlines == sum(at >= 0 for _, at in model.values())
            assert sum(database.sizes_of(1).values()) == len(model) == len(database)
            assert self.ask(number, "DBSIZE") == len(model)

    def teardown(self) -> None:
        """Nothing of the dataset is left behind."""
        self.compare_contents()
        self.compare_sums()
        assert self.server.ask("FLUSHALL") == "OK"
        while self.server.keyspace.run_work(1_000_000):
            pass
        assert self.server.keyspace.used_memory == self.empty
        assert self.server.keyspace.block_memory == 0


TestKeys = Keys.TestCase
