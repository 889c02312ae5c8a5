"""JSON as it is stored, read without losing a digit: numbers with a point are decimals."""

from __future__ import annotations

import json
from decimal import Decimal

read_exact = json.JSONDecoder(parse_float=Decimal).decode  # made once: json.loads makes a decoder for each call
