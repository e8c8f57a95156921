"""The compiled core: the path every request takes, and the data itself.

From the bottom up: `slab` allocates, `work` does what takes long in slices, `table` finds, `entry`
and `wheel` say how a key and its deadline are kept, `keyspace` makes databases of them, `effects`
tells everybody of a change, `dispatch` runs commands, `connection` and `reactor` bring the bytes.
"""

from __future__ import annotations
