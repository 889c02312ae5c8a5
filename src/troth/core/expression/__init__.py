"""The rule language: conditions and formulas over events, checked whole before they run.

`check` turns text into a checked tree or diagnostics, `compile_expression` makes functions of it, `trace` explains one
evaluation. A checked expression cannot fail on a valid event.
"""

from troth.core.expression.check import Checked, check
from troth.core.expression.diagnostic import Diagnostic
from troth.core.expression.python import Compiled, compile_expression
from troth.core.expression.scope import Scope, scope_for
from troth.core.expression.trace import Traced, trace

__all__ = [
    "Checked",
    "Compiled",
    "Diagnostic",
    "Scope",
    "Traced",
    "check",
    "compile_expression",
    "scope_for",
    "trace",
]
