"""The rule language: conditions and formulas over events, checked whole before they run.

`check` turns text into a checked tree or diagnostics, `compile_expression` makes functions of it, `trace` explains one
evaluation. A checked expression cannot fail on a valid event.

How the language reads, tightest first: `a.b f(x)` · `??` · `- !` · `* / %` · `+ -` · comparisons and `in` (never
chained) · `not` · `&& and` · `|| or` · `?:`. Numbers are exact decimals; `/` rounds half up at 8 places (ties away
from zero), `%` has the sign of its left side. A missing value equals only null; a missing list is an empty list. Texts
have no order. Weekdays are those of ISO 8601: Monday is 1. Days are counted between dates, in program time.
"""

from troth.core.expression.check import Checked, check
from troth.core.expression.diagnostic import Diagnostic
from troth.core.expression.python import Compiled, compile_expression
from troth.core.expression.scope import Common, Scope, common_to, scope_for
from troth.core.expression.trace import Traced, trace

__all__ = [
    "Checked",
    "Common",
    "Compiled",
    "Diagnostic",
    "Scope",
    "Traced",
    "check",
    "common_to",
    "compile_expression",
    "scope_for",
    "trace",
]
