"""The opcodes of CPython 3.6 to 3.14, as far as a schedule's function has them.

Source: `Lib/opcode.py` of each release, `Lib/_opcode_metadata.py` since 3.13. What a number means, how jumps
count and how many cache entries follow differ between any two releases, so that each has a column.
"""

from collections.abc import Mapping
from types import MappingProxyType

VERSIONS = tuple((3, minor) for minor in range(6, 15))

_NUMBERS = """
NOP                                 9   9   9   9   9   9   9  30  27
POP_TOP                             1   1   1   1   1   1   1  32  31
ROT_TWO                             2   2   2   2   2   -   -   -   -
ROT_THREE                           3   3   3   3   3   -   -   -   -
ROT_FOUR                            -   -   6   6   6   -   -   -   -
DUP_TOP                             4   4   4   4   4   -   -   -   -
COPY                                -   -   -   -   - 120 120  61  59
SWAP                                -   -   -   -   -  99  99 115 117
PUSH_NULL                           -   -   -   -   -   2   2  34  33
RESUME                              -   -   -   -   - 151 151 149 128
COPY_FREE_VARS                      -   -   -   -   - 149 149  62  60
EXTENDED_ARG                      144 144 144 144 144 144 144  71  69
NOT_TAKEN                           -   -   -   -   -   -   -   -  28
LOAD_CONST                        100 100 100 100 100 100 100  83  82
LOAD_SMALL_INT                      -   -   -   -   -   -   -   -  94
LOAD_FAST                         124 124 124 124 124 124 124  85  84
LOAD_FAST_CHECK                     -   -   -   -   -   - 127  87  88
LOAD_FAST_BORROW                    -   -   -   -   -   -   -   -  86
LOAD_FAST_LOAD_FAST                 -   -   -   -   -   -   -  88  89
LOAD_FAST_BORROW_LOAD_FAST_BORROW   -   -   -   -   -   -   -   -  87
STORE_FAST                        125 125 125 125 125 125 125 110 112
STORE_FAST_LOAD_FAST                -   -   -   -   -   -   - 111 113
STORE_FAST_STORE_FAST               -   -   -   -   -   -   - 112 114
LOAD_DEREF                        136 136 136 136 136 137 137  84  83
LOAD_GLOBAL                       116 116 116 116 116 116 116  91  92
LOAD_ATTR                         106 106 106 106 106 106 106  82  80
LOAD_METHOD                         - 160 160 160 160 160   -   -   -
IMPORT_NAME                       108 108 108 108 108 108 108  75  73
IMPORT_FROM                       109 109 109 109 109 109 109  74  72
UNARY_NEGATIVE                     11  11  11  11  11  11  11  42  41
UNARY_POSITIVE                     10  10  10  10  10  10   -   -   -
UNARY_NOT                          12  12  12  12  12  12  12  43  42
TO_BOOL                             -   -   -   -   -   -   -  40  39
CALL_INTRINSIC_1                    -   -   -   -   -   - 173  55  53
BINARY_ADD                         23  23  23  23  23   -   -   -   -
BINARY_SUBTRACT                    24  24  24  24  24   -   -   -   -
BINARY_MULTIPLY                    20  20  20  20  20   -   -   -   -
BINARY_TRUE_DIVIDE                 27  27  27  27  27   -   -   -   -
BINARY_FLOOR_DIVIDE                26  26  26  26  26   -   -   -   -
BINARY_MODULO                      22  22  22  22  22   -   -   -   -
BINARY_POWER                       19  19  19  19  19   -   -   -   -
INPLACE_ADD                        55  55  55  55  55   -   -   -   -
INPLACE_SUBTRACT                   56  56  56  56  56   -   -   -   -
INPLACE_MULTIPLY                   57  57  57  57  57   -   -   -   -
INPLACE_TRUE_DIVIDE                29  29  29  29  29   -   -   -   -
INPLACE_FLOOR_DIVIDE               28  28  28  28  28   -   -   -   -
INPLACE_MODULO                     59  59  59  59  59   -   -   -   -
INPLACE_POWER                      67  67  67  67  67   -   -   -   -
BINARY_OP                           -   -   -   -   - 122 122  45  44
COMPARE_OP                        107 107 107 107 107 107 107  58  56
IS_OP                               -   -   - 117 117 117 117  76  74
POP_JUMP_IF_FALSE                 114 114 114 114 114   - 114  97 100
POP_JUMP_IF_TRUE                  115 115 115 115 115   - 115 100 103
POP_JUMP_IF_NONE                    -   -   -   -   -   - 129  98 101
POP_JUMP_IF_NOT_NONE                -   -   -   -   -   - 128  99 102
POP_JUMP_FORWARD_IF_FALSE           -   -   -   -   - 114   -   -   -
POP_JUMP_FORWARD_IF_TRUE            -   -   -   -   - 115   -   -   -
POP_JUMP_FORWARD_IF_NONE            -   -   -   -   - 129   -   -   -
POP_JUMP_FORWARD_IF_NOT_NONE        -   -   -   -   - 128   -   -   -
JUMP_IF_FALSE_OR_POP              111 111 111 111 111 111   -   -   -
JUMP_IF_TRUE_OR_POP               112 112 112 112 112 112   -   -   -
JUMP_FORWARD                      110 110 110 110 110 110 110  79  77
JUMP_ABSOLUTE                     113 113 113 113 113   -   -   -   -
CALL_FUNCTION                     131 131 131 131 131   -   -   -   -
CALL_FUNCTION_KW                  141 141 141 141 141   -   -   -   -
CALL_METHOD                         - 161 161 161 161   -   -   -   -
PRECALL                             -   -   -   -   - 166   -   -   -
KW_NAMES                            -   -   -   -   - 172 172   -   -
CALL                                -   -   -   -   - 171 171  53  52
CALL_KW                             -   -   -   -   -   -   -  57  55
RETURN_VALUE                       83  83  83  83  83  83  83  36  35
RETURN_CONST                        -   -   -   -   -   - 121 103   -
"""
# How many cache entries follow an instruction: 3.11 to 3.14.
_CACHES = """
LOAD_GLOBAL                         5   4   4   4
LOAD_ATTR                           4   9   9   9
LOAD_METHOD                        10   -   -   -
BINARY_OP                           1   1   1   5
COMPARE_OP                          2   1   1   1
TO_BOOL                             -   -   3   3
POP_JUMP_IF_FALSE                   -   -   1   1
POP_JUMP_IF_TRUE                    -   -   1   1
POP_JUMP_IF_NONE                    -   -   1   1
POP_JUMP_IF_NOT_NONE                -   -   1   1
PRECALL                             1   -   -   -
CALL                                4   3   3   3
CALL_KW                             -   -   -   3
"""

COMPARISONS = ("<", "<=", "==", "!=", ">", ">=", "in", "not in", "is", "is not")
"""By the argument of COMPARE_OP; the last four have opcodes of their own since 3.9."""

OPERATORS: Mapping[str, str] = {
    "ADD": "+",
    "SUBTRACT": "-",
    "MULTIPLY": "*",
    "TRUE_DIVIDE": "/",
    "FLOOR_DIVIDE": "//",
    "MODULO": "%",
    "POWER": "**",
}
"""By the second half of BINARY_... and INPLACE_..., which 3.11 has replaced."""

BINARY_OP = ("+", "&", "//", "<<", "@", "*", "%", "|", "**", ">>", "-", "/", "^")
"""By the argument of BINARY_OP, since 3.11; the same again in place follow."""


def _columns(table: str, versions: tuple[tuple[int, int], ...]) -> dict[tuple[int, int], dict[str, int]]:
    rows = [line.split() for line in table.strip().splitlines()]
    return {
        version: {name: int(cells[column]) for name, *cells in rows if cells[column] != "-"}
        for column, version in enumerate(versions)
    }


NAMES: Mapping[tuple[int, int], Mapping[int, str]] = MappingProxyType(
    {
        version: {number: name for name, number in numbers.items()}
        for version, numbers in _columns(_NUMBERS, VERSIONS).items()
    }
)
"""The name of each opcode, by version."""

CACHES: Mapping[tuple[int, int], Mapping[str, int]] = MappingProxyType(_columns(_CACHES, VERSIONS[5:]))
"""How many cache entries follow an instruction, by version."""
