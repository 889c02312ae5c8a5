"""Every claim about speed as a script: each rate beside its limit, measured in the same run on the same machine.

`./dev bench [--quick]` runs `__main__.py`. `crash.py` is the long form of the kill -9 test.
"""
