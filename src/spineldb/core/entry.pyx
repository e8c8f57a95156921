"""An entry's layout, for Python: the kinds of values. The layout itself is in the header."""
