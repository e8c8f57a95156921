# Nothing of it is for Python: the bitmap commands use it (hot_bits.pyx).
