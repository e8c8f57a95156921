"""Numbers and their text, in Redis's forms.

Doubles are written with the fewest digits that read back as the same number. The digits come from
Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020): three multiplications
by a rounded power of ten decide which decimals lie inside the rounding interval. The powers, 617
of 126 bits, are computed when the module is loaded.

INCRBYFLOAT adds in C's long double. Where that has 64 bits of significand, as on x86-64, the
machine does it; elsewhere the sum is computed with exact fractions and rounded to what the 80-bit
format would hold, so that a replica on another machine computes the same digits.
"""

from decimal import Decimal
from fractions import Fraction
import re

from cpython.mem cimport PyMem_Malloc
from libc cimport errno as c_errno
from libc.math cimport ceil, isinf, isnan, signbit
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from spineldb import errors

cdef extern from *:
    """
    #include <float.h>
    #include <locale.h>
    #include <stdlib.h>
    #if defined(__APPLE__)
    #include <xlocale.h>
    #endif
    /* A host program may have set a locale in which the decimal point is a comma. */
    static locale_t spinel_c_locale;
    static int spinel_open_locale(void) {
        spinel_c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        return spinel_c_locale != (locale_t)0;
    }
    static double spinel_strtod(const char *text, char **end) {
        return strtod_l(text, end, spinel_c_locale);
    }
    static long double spinel_strtold(const char *text, char **end) {
        return strtold_l(text, end, spinel_c_locale);
    }
    static void spinel_product(unsigned long long a, unsigned long long b,
                               unsigned long long *high, unsigned long long *low) {
        unsigned __int128 product = (unsigned __int128)a * b;
        *high = (unsigned long long)(product >> 64);
        *low = (unsigned long long)product;
    }
    """
    int LDBL_MANT_DIG
    bint spinel_open_locale()
    double spinel_strtod(const char* text, char** end) nogil
    long double spinel_strtold(const char* text, char** end) nogil
    void spinel_product(
        uint64_t a, uint64_t b, unsigned long long* high, unsigned long long* low
    ) noexcept nogil

cdef enum:
    LEAST_POWER = -292
    POWERS = 617

cdef struct Power:               # 10**k, scaled to 128 bits and rounded up
    uint64_t high
    uint64_t low

cdef struct Digits:              # digits * 10**exponent
    uint64_t digits
    int exponent

cdef Power* powers = NULL
cdef double TIMEOUT_END = 9223372036854775808.0          # 2^63 milliseconds


cdef inline int floor_log2_power10(int k) noexcept nogil:
    return (k * 1741647) >> 19


def _fill_powers():
    global powers
    powers = <Power*>PyMem_Malloc(POWERS * sizeof(Power))
    if powers is NULL:
        raise MemoryError
    for index in range(POWERS):
        k = LEAST_POWER + index
        shift = 127 - floor_log2_power10(k)
        power = Fraction(10) ** k * Fraction(2) ** shift
        rounded = -(-power.numerator // power.denominator)
        powers[index].high = rounded >> 64
        powers[index].low = rounded & 0xFFFFFFFFFFFFFFFF


if not spinel_open_locale():
    raise OSError("the C locale cannot be opened")
_fill_powers()


cdef inline uint64_t round_to_odd(const Power* power, uint64_t factor) noexcept nogil:
    cdef unsigned long long high, low, carry, ignored
    spinel_product(power.low, factor, &carry, &ignored)
    spinel_product(power.high, factor, &high, &low)
    low += carry
    if low < carry:
        high += 1
    return high | (low > 1)


cdef Digits shortest(uint64_t significand, int exponent) noexcept nogil:
    """Return the shortest decimal within the rounding interval of a double given by its fields."""
    cdef Digits found
    cdef uint64_t c, lower, upper, middle, s, tens
    cdef int q, k, h
    cdef bint odd, closer, below, above
    cdef const Power* power
    if exponent != 0:
        c = significand | (<uint64_t>1 << 52)
        q = exponent - 1075
        if -53 < q <= 0 and (c & ((<uint64_t>1 << -q) - 1)) == 0:
            found.digits = c >> -q           # a small integer stands for itself
            found.exponent = 0
            return found
    else:
        c = significand
        q = -1074
    odd = c & 1
    closer = significand == 0 and exponent > 1   # a power of two: its lower neighbour is nearer
    k = (q * 1262611 - (524031 if closer else 0)) >> 22
    h = q + floor_log2_power10(-k) + 1
    power = &powers[-k - LEAST_POWER]
    lower = round_to_odd(power, (4 * c - 2 + closer) << h) + odd
    middle = round_to_odd(power, (4 * c) << h)
    upper = round_to_odd(power, (4 * c + 2) << h) - odd
    s = middle // 4
    if s >= 10:
        tens = s // 10
        below = lower <= 40 * tens
        above = 40 * tens + 40 <= upper
        if below != above:
            found.digits = tens + above
            found.exponent = k + 1
            return found
    below = lower <= 4 * s
    above = 4 * s + 4 <= upper
    if below == above:
        above = middle > 4 * s + 2 or (middle == 4 * s + 2 and s & 1)
    found.digits = s + above
    found.exponent = k
    return found


cdef inline int write_digits(uint64_t value, char* out) noexcept nogil:
    cdef char[20] reversed_digits
    cdef int count = 0
    cdef int i
    while True:
        reversed_digits[count] = <char>(c'0' + value % 10)
        value //= 10
        count += 1
        if value == 0:
            break
    for i in range(count):
        out[i] = reversed_digits[count - 1 - i]
    return count


cdef int lay_out(const char* digits, int count, int exponent, char* out) noexcept nogil:
    """Place the decimal point as Redis's `fpconv` does: plainly where that is short."""
    cdef int scientific = exponent + count - 1
    cdef int size = abs(scientific)
    cdef int whole, at
    if exponent >= 0 and size < count + 7:
        memcpy(out, digits, count)
        memset(out + count, c'0', exponent)
        return count + exponent
    if exponent < 0 and (exponent > -7 or size < 4):
        whole = count + exponent
        if whole > 0:
            memcpy(out, digits, whole)
            out[whole] = c'.'
            memcpy(out + whole + 1, digits + whole, count - whole)
            return count + 1
        out[0] = c'0'
        out[1] = c'.'
        memset(out + 2, c'0', -whole)
        memcpy(out + 2 - whole, digits, count)
        return count + 2 - whole
    out[0] = digits[0]
    at = 1
    if count > 1:
        out[1] = c'.'
        memcpy(out + 2, digits + 1, count - 1)
        at = count + 1
    out[at] = c'e'
    out[at + 1] = c'-' if scientific < 0 else c'+'
    return at + 2 + write_digits(size, out + at + 2)


cdef int format_double(double value, char* out) noexcept nogil:
    cdef uint64_t bits
    cdef Digits decimal
    cdef char[20] digits
    cdef int sign = 0
    if isnan(value):
        memcpy(out, "nan", 3)
        return 3
    if signbit(value):
        out[0] = c'-'
        sign = 1
        value = -value
    if isinf(value):
        memcpy(out + sign, "inf", 3)
        return sign + 3
    if value <= 4611686018427387904.0 and value == <double><uint64_t>value:
        return sign + write_digits(<uint64_t>value, out + sign)
    memcpy(&bits, &value, 8)
    decimal = shortest(bits & ((<uint64_t>1 << 52) - 1), <int>(bits >> 52))
    while decimal.digits % 10 == 0:
        decimal.digits //= 10
        decimal.exponent += 1
    return sign + lay_out(
        digits, write_digits(decimal.digits, digits), decimal.exponent, out + sign
    )


cdef inline bint is_float_start(char byte) noexcept nogil:
    """Refuse what strtod would skip: it takes leading blanks."""
    return not (byte == c' ' or c'\t' <= byte <= c'\r')


cdef bint parse_double(const char* text, size_t size, double* value) noexcept nogil:
    cdef char[LONG_DOUBLE_TEXT] copy
    cdef char* end
    if size == 0 or size >= LONG_DOUBLE_TEXT or not is_float_start(text[0]):
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    c_errno.errno = 0
    value[0] = spinel_strtod(copy, &end)
    if end != copy + size or isnan(value[0]):
        return False
    return not (c_errno.errno == c_errno.ERANGE and (isinf(value[0]) or value[0] == 0))


cdef bint parse_weight(const char* text, size_t size, double* value) noexcept nogil:
    cdef char[LONG_DOUBLE_TEXT] copy
    cdef char* end
    cdef size_t i
    value[0] = 0
    if size and not is_float_start(text[0]):
        return False
    for i in range(size):
        if i == LONG_DOUBLE_TEXT - 1 or text[i] == c'x' or text[i] == c'X':
            return False
        copy[i] = text[i]
        if text[i] == 0:
            size = i
            break
    if size == 0:
        return True
    copy[size] = 0
    value[0] = spinel_strtod(copy, &end)
    return end == copy + size and not isnan(value[0])


cdef bint parse_timeout(const char* text, size_t size, int64_t* ms) noexcept nogil:
    cdef double seconds
    cdef size_t i
    ms[0] = 0
    if size < 10:                        # a few digits, as nearly always
        for i in range(size):
            if not c"0" <= text[i] <= c"9":
                break
            ms[0] = ms[0] * 10 + (text[i] - c"0") * 1000
        else:
            return size != 0
    if not parse_double(text, size, &seconds) or seconds < 0 or seconds * 1000 >= TIMEOUT_END:
        return False
    ms[0] = <int64_t>ceil(seconds * 1000)
    return True


cdef bint parse_long_double(const char* text, size_t size, long double* value) noexcept nogil:
    cdef char[LONG_DOUBLE_TEXT] copy
    cdef char* end
    if size == 0 or size >= LONG_DOUBLE_TEXT or not is_float_start(text[0]):
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    c_errno.errno = 0
    value[0] = spinel_strtold(copy, &end)
    if end != copy + size or value[0] != value[0]:
        return False
    return not (c_errno.errno == c_errno.ERANGE and (is_infinite(value[0]) or value[0] == 0))


cdef inline bint is_infinite(long double value) noexcept nogil:
    return value - value != 0


cdef size_t trimmed(char* out, size_t size) noexcept nogil:
    """Take the zeros off a text of 17 decimals, and the point when nothing follows it."""
    out[size - 18] = c'.'                    # whatever the locale made of it
    while out[size - 1] == c'0':
        size -= 1
    if out[size - 1] == c'.':
        size -= 1
    if size == 2 and out[0] == c'-' and out[1] == c'0':
        out[0] = c'0'
        size = 1
    return size


cdef Sum add_long_double(
    const char* first, size_t first_size, const char* second, size_t second_size,
    char* out, size_t* out_size
) noexcept nogil:
    cdef long double a, b
    cdef int size
    if LDBL_MANT_DIG != 64:
        with gil:
            return add_exactly(first[:first_size], second[:second_size], out, out_size)
    if not parse_long_double(first, first_size, &a):
        return FIRST_NOT_FLOAT
    if not parse_long_double(second, second_size, &b):
        return SECOND_NOT_FLOAT
    a += b
    if a != a or is_infinite(a):
        return SUM_NOT_FINITE
    size = snprintf(out, LONG_DOUBLE_TEXT, "%.17Lf", a)
    out_size[0] = trimmed(out, size)
    return SUM_DONE


cdef Sum add_exactly(bytes first, bytes second, char* out, size_t* out_size) noexcept:
    """Do what add_long_double does without its hardware."""
    cdef bytes text
    a, b = extended(first), extended(second)
    if a is None:
        return FIRST_NOT_FLOAT
    if b is None:
        return SECOND_NOT_FLOAT
    if isinstance(a, float) or isinstance(b, float):
        return SUM_NOT_FINITE
    total = to_extended(a + b)
    if total is None:
        return SUM_NOT_FINITE
    scaled = round(abs(total) * 10**17)      # halves to even, as printf
    whole, decimals = divmod(scaled, 10**17)
    # str(int) and int(str) refuse numbers of more than 4300 digits; a Decimal does not.
    text = b"%s%s.%017d" % (b"-" if total < 0 else b"", str(Decimal(whole)).encode(), decimals)
    memcpy(out, <const char*>text, len(text))
    out_size[0] = trimmed(out, len(text))
    return SUM_DONE


_FARTHEST = Decimal(40_000)      # beyond it any text of 5 KB is out of range
_FLOAT = re.compile(
    rb"([+-]?)(?:(inf(?:inity)?)|0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?"
    rb"|(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?)",
    re.IGNORECASE,
)


def extended(bytes text not None):
    """Read a number as an 80-bit long double: a Fraction, a float if infinite, None if neither."""
    parts = _FLOAT.fullmatch(text)
    if parts is None or not text or len(text) >= LONG_DOUBLE_TEXT:
        return None
    sign, infinite, *numbers = parts.groups()
    if infinite:
        return float(text)
    base, letter, (whole, decimals, exponent) = (
        (10, 10, numbers[3:]) if numbers[0] is None else (16, 2, numbers[:3])
    )
    digits = whole + (decimals or b"")
    if not digits:
        return None
    number = int(digits, 16) if base == 16 else int(Decimal(digits.decode()))
    value = Fraction(number, base ** len(decimals or b""))
    if value == 0:
        return Fraction(0)
    power = int(max(-_FARTHEST, min(_FARTHEST, Decimal((exponent or b"0").decode()))))
    value = to_extended(value * Fraction(letter) ** power)
    if value is None or value == 0:          # out of range, which strtold reports
        return None
    return -value if sign == b"-" else value


def to_extended(value):
    """Round a fraction to 64 bits of significand, halves to even; None when it is too large."""
    if value == 0:
        return value
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (max(exponent, -16382) - 63)
    rounded = round(size / unit) * unit
    if rounded >= Fraction(2) ** 16384:
        return None
    return rounded if value > 0 else -rounded


def double_to_text(double value):
    """Write the shortest digits that read back as `value`, in Redis's form of a score."""
    cdef char[DOUBLE_TEXT] out
    cdef int size = format_double(value, out)
    return out[:size]


def text_to_double(bytes text not None):
    """Read the whole text as a double; None if it is none, is not a number or out of range."""
    cdef double value
    return value if parse_double(text, len(text), &value) else None


def text_to_timeout(bytes text not None):
    """Read seconds as milliseconds, rounded up; None if they are none, or not in range."""
    cdef int64_t ms
    return ms if parse_timeout(text, len(text), &ms) else None


def long_double_sum(bytes first not None, bytes second not None, *, bint exactly=False):
    """Add two numbers as INCRBYFLOAT does; `exactly` takes the way of other machines than x86-64.

    Raises:
        NotFloat: one of them is no number.
        NotFinite: the sum is none.
    """
    cdef char[LONG_DOUBLE_TEXT] out
    cdef size_t size = 0
    cdef Sum result
    if exactly:
        result = add_exactly(first, second, out, &size)
    else:
        result = add_long_double(first, len(first), second, len(second), out, &size)
    if result == SUM_NOT_FINITE:
        raise errors.NotFinite
    if result != SUM_DONE:
        raise errors.NotFloat
    return out[:size]
