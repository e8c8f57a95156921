# No Python names: compiled callers cimport from the header.
