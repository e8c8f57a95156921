from enum import IntEnum

class Kind(IntEnum):
    NONE = 0
    STRING = 1
    LIST = 2
    SET = 3
    ZSET = 4
    HASH = 5
    STREAM = 6
    EXTENSION = 7
