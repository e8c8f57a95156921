"""Every error a client can receive, in its exact words.

`raise errors.WrongType` ends a command anywhere; an error with details takes them as arguments:
`raise errors.WrongArity("get")`. The words are Redis 8.2.3's, because clients match on them; the
first one is the code by which clients and INFO classify errors. `{}` stands for a detail.
"""

from __future__ import annotations

from typing import ClassVar


class CommandError(Exception):
    """An error that is a reply, not a fault of the server; subclasses carry code and wording."""

    code: ClassVar[str] = "ERR"
    text: ClassVar[str] = ""

    def __init__(self, *details: str | bytes | int) -> None:
        super().__init__(*details)
        if len(details) != self.text.count("{}"):
            raise TypeError(f"{type(self).__name__} takes {self.text.count('{}')} details")

    @property
    def message(self) -> bytes:
        """The text without the code; bytes a user sent stand in it as they came."""
        return self.text.format(*map(_as_latin1, self.args)).encode("latin-1")

    @property
    def wire(self) -> bytes:
        """What follows the `-` of the reply: one line, whatever users put into it."""
        line = self.code.encode() + b" " + self.message
        return _one_line(line.rstrip(b"\r\n"))

    def __str__(self) -> str:
        return self.wire.decode("utf-8", "backslashreplace")


def _one_line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _as_latin1(detail: str | bytes | int) -> str:
    """Turn a detail into text of one character per byte, which ends at a zero byte as C's do."""
    if isinstance(detail, int):
        return str(detail)
    raw = detail.encode("utf-8", "surrogateescape") if isinstance(detail, str) else detail
    return raw.partition(b"\0")[0].decode("latin-1")


def _cut(raw: bytes, limit: int) -> bytes:
    """Shorten user bytes as C's `%.*s` does: at the limit, or at a zero byte."""
    return raw[:limit].partition(b"\0")[0]


class Custom(CommandError):
    """An error in words that are not ours: DEBUG ERROR, a script's own, another server's reply."""

    text = "{}"

    @property
    def wire(self) -> bytes:
        """The text as it was given; it brings its own code."""
        return _one_line(self.message)


# Transactions.


class MultiNested(CommandError):
    text = "MULTI calls can not be nested"


class WithoutMulti(CommandError):
    text = "{} without MULTI"


class WatchInMulti(CommandError):
    text = "WATCH inside MULTI is not allowed"


class NotInTransaction(CommandError):
    text = "Command not allowed inside a transaction"


class ExecAborted(CommandError):
    """EXEC ran nothing: a request was refused when it was queued, or EXEC itself is (`cause`)."""

    code = "EXECABORT"
    text = "Transaction discarded because of{}"

    def __init__(self, cause: CommandError | None = None) -> None:
        super().__init__(" previous errors." if cause is None else b": " + _without_err(cause))


def _without_err(error: CommandError) -> bytes:
    return error.message if error.code == "ERR" else error.wire


class OnlySubscribing(CommandError):
    """What RESP2 does not allow to a client that is subscribed."""

    text = (
        "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
        "allowed in this context"
    )


class MonitorDenied(CommandError):
    text = "MONITOR isn't allowed for DENY BLOCKING client"


# The request.


class UnknownCommand(CommandError):
    text = "unknown command '{}', with args beginning with: {}"

    def __init__(self, name: bytes, arguments: list[bytes]) -> None:
        quoted = b""
        for argument in arguments:
            if len(quoted) >= 128:
                break
            quoted += b"'" + _cut(argument, 128 - len(quoted)) + b"' "
        super().__init__(_cut(name, 128), quoted)


class UnknownSubcommand(CommandError):
    text = "unknown subcommand '{}'. Try {} HELP."

    def __init__(self, name: bytes, container: str) -> None:
        super().__init__(_cut(name, 128), container.upper())


class UnknownSubcommandOrArity(CommandError):
    text = "unknown subcommand or wrong number of arguments for '{}'. Try {} HELP."

    def __init__(self, name: bytes, container: str) -> None:
        super().__init__(_cut(name, 128), container.upper())


class WrongArity(CommandError):
    text = "wrong number of arguments for '{}' command"


class Syntax(CommandError):
    text = "syntax error"


class Internal(CommandError):
    text = "internal error"


class NoMemory(CommandError):
    """The operating system has no memory left (`OutOfMemory` is maxmemory's)."""

    code = "OOM"
    text = "the system is out of memory"


class InjectedFault(CommandError):
    """A failure that a test asked for (DEBUG FAIL-PROPAGATION)."""

    text = "injected fault"


class Protocol(CommandError):
    text = "Protocol error: {}"


class MaxClients(CommandError):
    text = "max number of clients reached"


class OutputLimit(CommandError):
    text = "reply exceeds the output buffer limit"


# Gates: what may stop a command before it runs.


class NoAuth(CommandError):
    code = "NOAUTH"
    text = "Authentication required."


class NoPermissionCommand(CommandError):
    code = "NOPERM"
    text = "User {} has no permissions to run the '{}' command"


class NoPermissionKey(CommandError):
    code = "NOPERM"
    text = "No permissions to access a key"


class NoPermissionChannel(CommandError):
    code = "NOPERM"
    text = "No permissions to access a channel"


class Loading(CommandError):
    code = "LOADING"
    text = "SpinelDB is loading the dataset in memory"


class Busy(CommandError):
    code = "BUSY"
    text = "SpinelDB is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."


class Emergency(CommandError):
    code = "READONLY"
    text = "Server is in emergency read-only mode due to a critical propagation failure."


class NotPropagated(CommandError):
    text = (
        "CRITICAL: Write operation could not be safely propagated. Server entering read-only mode."
    )


class OutOfMemory(CommandError):
    code = "OOM"
    text = "command not allowed when used memory > 'maxmemory'."


class ReadOnlyReplica(CommandError):
    code = "READONLY"
    text = "You can't write against a read only replica."


class NoReplicas(CommandError):
    code = "NOREPLICAS"
    text = "Not enough good replicas to write."


class SnapshotFailing(CommandError):
    code = "MISCONF"
    text = (
        "SpinelDB is configured to save RDB snapshots, but it's currently unable to persist to "
        "disk. Commands that may modify the data set are disabled, because this instance is "
        "configured to report errors during writes if RDB snapshotting fails "
        "(stop-writes-on-bgsave-error option). Please check the SpinelDB logs for details about "
        "the RDB error."
    )


class LogFailing(CommandError):
    code = "MISCONF"
    text = "Errors writing to the AOF file: {}"


class ProtectedMode(CommandError):
    code = "DENIED"
    text = (
        "SpinelDB is running in protected mode because protected mode is enabled and no password "
        "is set for the default user. In this mode connections are only accepted from the "
        "loopback interface. To connect from other computers set a password "
        "(security.password), or switch protected mode off: 'CONFIG SET protected-mode no' from "
        "the loopback interface, or protected_mode = false in the configuration file."
    )


class ShuttingDown(CommandError):
    code = "SHUTDOWN"
    text = "Server is shutting down"


class Unblocked(CommandError):
    code = "UNBLOCKED"
    text = "client unblocked via CLIENT UNBLOCK"


class UnblockedByRole(CommandError):
    code = "UNBLOCKED"
    text = "force unblock from blocking operation, instance state changed (master -> replica?)"


class DebugNotAllowed(CommandError):
    text = (
        'DEBUG command not allowed. If the enable-debug-command option is set to "local", you '
        "can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server."
    )


class ModuleNotAllowed(CommandError):
    text = (
        'MODULE command not allowed. If the enable-module-command option is set to "local", you '
        "can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server."
    )


class ModuleNotLoaded(CommandError):
    text = "Error loading the extension. Please check the server logs."


class NoSuchModule(CommandError):
    text = "Error unloading module: no such module with that name"


# Values and numbers.


class WrongType(CommandError):
    code = "WRONGTYPE"
    text = "Operation against a key holding the wrong kind of value"


class NotInteger(CommandError):
    text = "value is not an integer or out of range"


class NotFloat(CommandError):
    text = "value is not a valid float"


class NotPositive(CommandError):
    text = "value is out of range, must be positive"


class OutsideRange(CommandError):
    text = "value is out of range, value must between {} and {}"


class NotIntegerNamed(CommandError):
    text = "{} is not an integer or out of range"


class Overflow(CommandError):
    text = "increment or decrement would overflow"


class DecrementOverflow(CommandError):
    text = "decrement would overflow"


class NotFinite(CommandError):
    text = "increment would produce NaN or Infinity"


class IncrementNotFinite(CommandError):
    text = "value is NaN or Infinity"


class HashNotInteger(CommandError):
    text = "hash value is not an integer"


class HashNotFloat(CommandError):
    text = "hash value is not a float"


class NegativeExpire(CommandError):
    text = "invalid expire time, must be >= 0"


class FieldsMissing(CommandError):
    text = "Mandatory argument FIELDS is missing or not at the right position"


class FieldsMismatch(CommandError):
    text = "The `numfields` parameter must match the number of arguments"


class FieldsAboveZero(CommandError):
    text = "Parameter `numFields` should be greater than 0"


class FieldsPositive(CommandError):
    text = "Number of fields must be a positive integer"


class FieldCondition(CommandError):
    text = "Only one of FXX or FNX arguments can be specified"


class FieldTime(CommandError):
    text = "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"


class UnknownArgument(CommandError):
    text = "unknown argument: {}"


class FieldNumber(CommandError):
    text = "invalid number of fields"


class NoSuchKey(CommandError):
    text = "no such key"


class IndexOutOfRange(CommandError):
    text = "index out of range"


class InvalidExpire(CommandError):
    text = "invalid expire time in '{}' command"


class TimeoutNotFloat(CommandError):
    text = "timeout is not a float or out of range"


class TimeoutNotInteger(CommandError):
    text = "timeout is not an integer or out of range"


class TimeoutOutOfRange(CommandError):
    text = "timeout is out of range"


class TimeoutNegative(CommandError):
    text = "timeout is negative"


class DatabaseOutOfRange(CommandError):
    text = "DB index is out of range"


# Lists.


class RankZero(CommandError):
    text = (
        "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
        "negative to start from the end of the list"
    )


class PositionsNegative(CommandError):
    text = "COUNT can't be negative"


class ComparisonsNegative(CommandError):
    text = "MAXLEN can't be negative"


# Strings and bitmaps.


class StringTooLong(CommandError):
    text = "string exceeds maximum allowed size (proto-max-bulk-len)"


class OffsetOutOfRange(CommandError):
    text = "offset is out of range"


class LcsNotStrings(CommandError):
    text = "The specified keys must contain string values"


class LcsBothForms(CommandError):
    text = "If you want both the length and indexes, please just use IDX."


class LcsTooLong(CommandError):
    text = "String too long for LCS"


class LcsNoMemory(CommandError):
    text = "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"


class NumkeysNotPositive(CommandError):
    text = "numkeys should be greater than 0"


class TooFewKeys(CommandError):
    text = "Number of keys can't be greater than number of args"


class LimitNegative(CommandError):
    text = "LIMIT can't be negative"


class InvalidNumkeys(CommandError):
    text = "invalid numkeys value or out of range"


class BitOffset(CommandError):
    text = "bit offset is not an integer or out of range"


class BitValue(CommandError):
    text = "bit is not an integer or out of range"


class BitposBit(CommandError):
    text = "The bit argument must be 1 or 0."


class BitopNot(CommandError):
    text = "BITOP NOT must be called with a single source key."


class BitopTwoKeys(CommandError):
    text = "BITOP {} must be called with at least two source keys."


class BitopTooLarge(CommandError):
    text = (
        "Command 'BITOP' aborted: required allocation ({}) exceeds 'max_bitop_alloc_size' "
        "limit ({})."
    )


class BitfieldType(CommandError):
    text = (
        "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
        "i64 is."
    )


class BitfieldOverflow(CommandError):
    text = "Invalid OVERFLOW type specified"


class BitfieldReadOnly(CommandError):
    text = "BITFIELD_RO only supports the GET subcommand"


# HyperLogLogs.


class NotHyperLogLog(CommandError):
    code = "WRONGTYPE"
    text = "Key is not a valid HyperLogLog string value."


class CorruptHyperLogLog(CommandError):
    code = "INVALIDOBJ"
    text = "Corrupted HLL object detected"


class NoDebuggedKey(CommandError):
    text = "The specified key does not exist"


class NotSparse(CommandError):
    text = "HLL encoding is not sparse"


class UnknownPfdebug(CommandError):
    text = "Unknown PFDEBUG subcommand '{}'"


class NotOnOrOff(CommandError):
    text = "Argument must be ON or OFF"


class SelfTestFailed(CommandError):
    code = "TESTFAILED"
    text = "{}"


# Geo.


class UnknownUnit(CommandError):
    text = "unsupported unit provided. please use M, KM, FT, MI"


class InvalidPosition(CommandError):
    text = "invalid longitude,latitude pair {},{}"


class NeedNumeric(CommandError):
    text = "need numeric {}"


class NegativeRadius(CommandError):
    text = "radius cannot be negative"


class NegativeBox(CommandError):
    text = "height or width cannot be negative"


class NoSuchMember(CommandError):
    text = "could not decode requested zset member"


class CountOptionNotPositive(CommandError):
    text = "COUNT must be > 0"


class AnyWithoutCount(CommandError):
    text = "the ANY argument requires COUNT argument"


class GeoFrom(CommandError):
    text = "exactly one of FROMMEMBER or FROMLONLAT can be specified for {}"


class GeoBy(CommandError):
    text = "exactly one of BYRADIUS and BYBOX can be specified for {}"


class GeoStoreShows(CommandError):
    text = "{} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"


class InvalidCorners(CommandError):
    text = "invalid number of vertices"


class TooFewCorners(CommandError):
    text = "GEOSEARCH BYPOLYGON must have at least 3 vertices"


# Sorting.


class NotSortable(CommandError):
    text = "One or more scores can't be converted into double"


# Keys.


class ExpireOption(CommandError):
    text = "Unsupported option {}"


class ExpireConditions(CommandError):
    text = "NX and XX, GT or LT options at the same time are not compatible"


class ExpireGtLt(CommandError):
    text = "GT and LT options at the same time are not compatible"


class SameObject(CommandError):
    text = "source and destination objects are the same"


class SwapFirst(CommandError):
    text = "invalid first DB index"


class SwapSecond(CommandError):
    text = "invalid second DB index"


class InvalidCursor(CommandError):
    text = "invalid cursor"


class NoValuesOption(CommandError):
    text = "NOVALUES option can only be used in HSCAN"


class NoLfuPolicy(CommandError):
    text = (
        "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
        "when switching between policies at runtime LRU and LFU data will take some time to "
        "adjust."
    )


class LfuPolicy(CommandError):
    text = (
        "An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
        "switching between policies at runtime LRU and LFU data will take some time to adjust."
    )


class CollectionTooLarge(CommandError):
    text = (
        "Command '{}' on key '{}' aborted: collection size ({}) exceeds "
        "'max_collection_scan_keys' limit ({}). Use SCAN-family commands instead."
    )


class DatabaseTooLarge(CommandError):
    text = (
        "Command '{}' on database {} aborted: collection size ({}) exceeds "
        "'max_collection_scan_keys' limit ({}). Use SCAN-family commands instead."
    )


class TooManyKeys(CommandError):
    text = "Command '{}' aborted: number of keys ({}) exceeds 'max_set_operation_keys' limit ({})."


# Sorted sets.


class ScoreNotNumber(CommandError):
    text = "resulting score is not a number (NaN)"


class NewAndOld(CommandError):
    text = "XX and NX options at the same time are not compatible"


class GreaterLessAndNew(CommandError):
    text = "GT, LT, and/or NX options at the same time are not compatible"


class OneIncrement(CommandError):
    text = "INCR option supports a single increment-element pair"


class ScoreBounds(CommandError):
    text = "min or max is not a float"


class NameBounds(CommandError):
    text = "min or max not valid string range item"


class LimitWithRanks(CommandError):
    text = "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"


class ScoresWithNames(CommandError):
    text = "syntax error, WITHSCORES not supported in combination with BYLEX"


class ValueOutOfRange(CommandError):
    text = "value is out of range"


class CountNotPositive(CommandError):
    text = "count should be greater than 0"


class NoInputKey(CommandError):
    text = "at least 1 input key is needed for '{}' command"


class WeightNotFloat(CommandError):
    text = "weight value is not a float"


# Connections.


class WrongPassword(CommandError):
    code = "WRONGPASS"
    text = "invalid username-password pair or user is disabled."


class NoPasswordSet(CommandError):
    text = (
        "AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?"
    )


class UnknownProtocol(CommandError):
    code = "NOPROTO"
    text = "unsupported protocol version"


class ProtocolNotInteger(CommandError):
    text = "Protocol version is not an integer or out of range"


class HelloOption(CommandError):
    text = "Syntax error in HELLO option '{}'"


class HelloNoAuth(CommandError):
    code = "NOAUTH"
    text = (
        "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
        "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
        "protocol version at the same time"
    )


class ClientName(CommandError):
    text = "Client names cannot contain spaces, newlines or special characters."


class ClientInfoValue(CommandError):
    text = "{} cannot contain spaces, newlines or special characters."


class ClientInfoOption(CommandError):
    text = "Unrecognized option '{}'"


class NoSuchClient(CommandError):
    text = "No such client"


class ClientIdNotPositive(CommandError):
    text = "client-id should be greater than 0"


class InvalidClientId(CommandError):
    text = "Invalid client ID"


class UnknownClientType(CommandError):
    text = "Unknown client type '{}'"


class NoSuchUser(CommandError):
    text = "No such user '{}'"


class MaxageNotInteger(CommandError):
    text = "maxage is not an integer or out of range"


class MaxageNotPositive(CommandError):
    text = "maxage should be greater than 0"


class IdleNotInteger(CommandError):
    text = "idle is not an integer or out of range"


class IdleNotPositive(CommandError):
    text = "idle should be greater than 0"


class ClientDatabaseNotInteger(CommandError):
    text = "DB is not an integer or out of range"


class ClientDatabaseRange(CommandError):
    text = "DB number should be between 0 and {}"


class UnknownClientFlags(CommandError):
    text = "Unknown flags found in the provided filter: {}"


class UnknownClientNotFlags(CommandError):
    text = "Unknown flags found in the NOT-FLAGS filter: {}"


class UnknownClientCapabilities(CommandError):
    text = "Unknown capa found in the provided filter: {}"


class PauseMode(CommandError):
    text = "CLIENT PAUSE mode must be WRITE or ALL"


class UnblockReason(CommandError):
    text = "CLIENT UNBLOCK reason should be TIMEOUT or ERROR"


class NotImporting(CommandError):
    text = "Server is not in import mode"


# COMMAND, CONFIG, DEBUG, MEMORY, LATENCY, SLOWLOG, SHUTDOWN.


class NoSuchCommand(CommandError):
    text = "Invalid command specified"


class WrongArityInside(CommandError):
    text = "Invalid number of arguments specified for command"


class NoKeyArguments(CommandError):
    text = "The command has no key arguments"


class InvalidArguments(CommandError):
    text = "Invalid arguments specified for command"


class ConfigUnknown(CommandError):
    text = "Unknown option or number of arguments for CONFIG SET - '{}'"


class ConfigRejected(CommandError):
    """CONFIG SET changed nothing: takes the parameter and one of the reasons below."""

    text = "CONFIG SET failed (possibly related to argument '{}') - {}"


NOT_A_SIZE = "argument must be a memory value"
NOT_A_SIZE_OR_PERCENT = "argument must be a memory or percent value"
NOT_A_PERCENTAGE = "percentage argument must be less or equal to 100"
NOT_A_NUMBER = "argument couldn't be parsed into an integer"
NOT_OCTAL = "argument couldn't be parsed as an octal number"
NOT_WITHIN = "argument must be between {} and {} inclusive"
NOT_NEGATIVE = "argument must be greater or equal to 0"
NOT_OCTAL_WITHIN = "argument must be between {:o} and {:o} inclusive"
NOT_ONE_OF = "argument(s) must be one of the following: {}"
NOT_YES_OR_NO = "argument must be 'yes' or 'no'"
IMMUTABLE = "can't set immutable config"
PROTECTED = "can't set protected config"
DUPLICATE = "duplicate parameter"
WRONG_COUNT = "wrong number of arguments"
BAD_SAVE = "Invalid save parameters"
BAD_LIMIT_COUNT = "Wrong number of arguments in buffer limit configuration."
BAD_LIMIT_CLASS = "Invalid client class specified in buffer limit configuration."
BAD_LIMIT = "Error in hard, soft or soft_seconds setting in buffer limit configuration."
BAD_OOM_SCORES = "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
BAD_PERCENTILES = "Invalid latency-tracking-info-percentiles parameters"
PERCENTILES_WITHIN = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
BAD_SHUTDOWN = "shutdown options SAVE and NOSAVE can't be used simultaneously"
BAD_HOSTNAME = "Hostnames may only contain alphanumeric characters, hyphens or dots"
LONG_HOSTNAME = "Hostnames must be less than 256 characters"
BAD_NODE_NAME = "Announced human node name contained invalid character"
BAD_TITLE = "template format is invalid or contains unknown variables"
BAD_LOCALE = "Invalid locale name"
BAD_PRIMARY_PORT = "Invalid master port"
NOT_A_BARE_NAME = "{} can't be a path, just a {}"
NOT_EMPTY = "{} can't be empty"
UNBALANCED = "Unbalanced quotes in configuration line"
BAD_EVENTS = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
BAD_ADDRESSES = "Failed to bind to specified addresses."
BAD_PORT = "Unable to listen on this port. Check server logs."
BAD_TLS = "Unable to update TLS configuration. Check server logs."
TOO_MANY_CLIENTS = (
    "The operating system is not able to handle the specified number of clients, try with {}"
)


class NoConfigFile(CommandError):
    text = "The server is running without a config file"


class RewriteFailed(CommandError):
    text = "Rewriting config file: {}"


class ReloadOptions(CommandError):
    text = "DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."


class ProtocolType(CommandError):
    text = (
        "Wrong protocol type name. Please use one of the following: string|integer|double|bignum|"
        "null|array|set|map|attrib|push|verbatim|true|false"
    )


class OnlyResp3(CommandError):
    text = "RESP2 is not supported by this command"


class DebugDatabaseRange(CommandError):
    text = "Out of range database"


class NotTable(CommandError):
    text = "The value stored at the specified key is not represented using an hash table"


class ClientEvictionOff(CommandError):
    text = "maxmemory-clients is disabled."


class NotQuicklist(CommandError):
    text = "Not a quicklist encoded object."


class NotListpack(CommandError):
    text = "Not a listpack encoded object."


class NotSds(CommandError):
    text = "Not an sds encoded string."


class NotThreshold(CommandError):
    text = "argument must be a memory value bigger than 1 and smaller than 4gb"


class NoSamples(CommandError):
    text = "No samples available for event '{}'"


class LogCount(CommandError):
    text = "count should be greater than or equal to -1"


class LogKind(CommandError):
    text = "type should be one of the following: slow, large-request, large-reply"


class NoShutdown(CommandError):
    text = "No shutdown in progress."


class ShutdownFailed(CommandError):
    text = "Errors trying to SHUTDOWN. Check logs."


# Streams.


class InvalidStreamId(CommandError):
    text = "Invalid stream ID specified as stream command argument"


class StreamIdZero(CommandError):
    text = "The ID specified in XADD must be greater than 0-0"


class StreamIdNotGreater(CommandError):
    text = "The ID specified in XADD is equal or smaller than the target stream top item"


class NoStreamIdLeft(CommandError):
    text = "The stream has exhausted the last possible ID, unable to add more items"


class EntryTooLarge(CommandError):
    text = "Elements are too large to be stored"


class TwoTrims(CommandError):
    text = "syntax error, MAXLEN and MINID options at the same time are not compatible"


class MaxlenNegative(CommandError):
    text = "The MAXLEN argument must be >= 0."


class TrimLimitNegative(CommandError):
    text = "The LIMIT argument must be >= 0."


class LimitWithoutTrim(CommandError):
    text = "syntax error, LIMIT cannot be used without specifying a trimming strategy"


class LimitExact(CommandError):
    text = "syntax error, LIMIT cannot be used without the special ~ option"


class NoTrim(CommandError):
    text = "syntax error, XTRIM must be called with a trimming strategy"


class IntervalStart(CommandError):
    text = "invalid start ID for the interval"


class IntervalEnd(CommandError):
    text = "invalid end ID for the interval"


class UnbalancedXread(CommandError):
    text = (
        "Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be "
        "specified."
    )


class UnbalancedXreadgroup(CommandError):
    text = (
        "Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be "
        "specified."
    )


class GroupInXread(CommandError):
    text = "The GROUP option is only supported by XREADGROUP. You called XREAD instead."


class NoackInXread(CommandError):
    text = "The NOACK option is only supported by XREADGROUP. You called XREAD instead."


class NoGroupInXreadgroup(CommandError):
    text = "Missing GROUP option for XREADGROUP"


class DollarInXreadgroup(CommandError):
    text = (
        "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of "
        "this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID "
        "would just return an empty result set."
    )


class PlusInXreadgroup(CommandError):
    text = (
        "The + ID is meaningless in the context of XREADGROUP: you want to read the history of "
        "this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID "
        "would just return an empty result set."
    )


class GreaterInXread(CommandError):
    text = (
        "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
        "option."
    )


class NoSuchGroup(CommandError):
    code = "NOGROUP"
    text = "No such consumer group '{}' for key name '{}'"


class NoSuchKeyOrGroup(CommandError):
    code = "NOGROUP"
    text = "No such key '{}' or consumer group '{}'"


class NoSuchGroupToRead(CommandError):
    code = "NOGROUP"
    text = "No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option"


class GroupExists(CommandError):
    code = "BUSYGROUP"
    text = "Consumer Group name already exists"


class XgroupNoKey(CommandError):
    text = (
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
        "the MKSTREAM option to create an empty stream automatically."
    )


class EntriesReadNegative(CommandError):
    text = "value for ENTRIESREAD must be positive or -1"


class InvalidClaimArgument(CommandError):
    text = "Invalid {} for {}"


class UnknownClaimOption(CommandError):
    text = "Unrecognized XCLAIM option '{}'"


class EntriesAddedNegative(CommandError):
    text = "entries_added must be positive"


class LastIdBelowTop(CommandError):
    text = "The ID specified in XSETID is smaller than the target stream top item"


class EntriesAddedBelowLength(CommandError):
    text = "The entries_added specified in XSETID is smaller than the target stream length"


class LastIdBelowGivenDeleted(CommandError):
    text = "The ID specified in XSETID is smaller than the provided max_deleted_entry_id"


class LastIdBelowDeleted(CommandError):
    text = "The ID specified in XSETID is smaller than current max_deleted_entry_id"


class IdCountMismatch(CommandError):
    text = "The `numids` parameter must match the number of arguments"


class IdCountNotPositive(CommandError):
    text = "Number of IDs must be a positive integer"


# -- Bloom filters: in RedisBloom's words, and the original's where it has other ones --------------


class Bloom(CommandError):
    """An error of a filter; `spinel` is its text with `probabilistic_errors = "spinel"`."""

    text = "invalid filter argument"
    spinel: ClassVar[str] = ""

    def reworded(self) -> CommandError:
        """Return the error in the original's words."""
        return Custom(f"ERR {self.spinel}") if self.spinel else self


BLOOM_RATE = "Invalid request: error rate must be between 0 and 1"
BLOOM_CAPACITY = "Invalid request: capacity must be between 1 and 1073741824"


class BloomExists(Bloom):
    text = "item exists"
    spinel = "Key already exists"


class BloomNotFound(Bloom):
    text = "not found"
    spinel = "Key not found"


class BloomBadRate(Bloom):
    text = "bad error rate"
    spinel = BLOOM_RATE


class BloomRateRange(Bloom):
    text = "(0 < error rate range < 1) "
    spinel = BLOOM_RATE


class BloomBadCapacity(Bloom):
    text = "bad capacity"
    spinel = BLOOM_CAPACITY


class BloomCapacityRange(Bloom):
    text = "(capacity should be larger than 0)"
    spinel = BLOOM_CAPACITY


class BloomNoExpansion(Bloom):
    text = "no expansion"


class BloomBadExpansion(Bloom):
    text = "bad expansion"


class BloomExpansionRange(Bloom):
    text = "expansion should be greater or equal to 1"


class BloomNonScaling(Bloom):
    text = "Nonscaling filters cannot expand"


class BloomInsertRate(Bloom):
    text = "Bad error rate"
    spinel = BLOOM_RATE


class BloomInsertCapacity(Bloom):
    text = "Bad capacity"
    spinel = BLOOM_CAPACITY


class BloomInsertExpansion(Bloom):
    text = "Bad expansion"
    spinel = BloomBadExpansion.text


class BloomInsertRange(Bloom):
    """A number of BF.INSERT that is out of range; `reworded` needs to know which."""

    text = "Bad argument received"

    def __init__(self, cause: Bloom) -> None:
        super().__init__()
        self._cause = cause

    def reworded(self) -> CommandError:
        """Return what BF.RESERVE says of the same number, in the original's words."""
        return self._cause.reworded()


class BloomUnknownWord(Bloom):
    text = "Unknown argument received"

    def reworded(self) -> CommandError:
        """Return the error that other commands have for a word they do not know."""
        return Syntax()


class BloomOtherParameters(CommandError):
    text = "Invalid request: Cannot change parameters of an existing filter"


class BloomFull(CommandError):
    text = "non scaling filter is full"


class BloomNotInserted(CommandError):
    text = "problem inserting into filter"


class BloomNotCreated(CommandError):
    text = "could not create filter"


class BloomTooLarge(CommandError):
    text = "capacity is too large"


class BloomInformation(CommandError):
    text = "Invalid information value"


class BloomIterator(CommandError):
    text = "Second argument must be numeric"


class BloomBadData(CommandError):
    text = "received bad data"


class BloomBadOffset(CommandError):
    text = "invalid offset - no link found"


class BloomBadChunk(CommandError):
    text = "invalid chunk - Too big for current filter"
