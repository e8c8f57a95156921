# Nothing of it is for Python: core/lua_state.pyx uses it.
