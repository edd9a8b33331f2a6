"""Numbers as text."""

from __future__ import annotations

import math


def number(value: float, digits: int = 3) -> str:
    """``value`` with so many decimals; nothing for nan.

    >>> number(1234.5678), number(float("nan")), number(-0.0001)
    ('1,234.568', '', '0.000')
    """
    if math.isnan(value):
        return ""
    if abs(value) >= 1e6:
        return f"{value:.4g}"
    text = f"{value:,.{digits}f}"
    # Rounded to zero, a sign says nothing.
    return text.lstrip("-") if not text.strip("-0.,") else text


def probability(value: float, digits: int = 3) -> str:
    """A probability without its leading zero, as the APA's manual has it (7th edition, 6.36).

    >>> probability(0.0214), probability(0.0), probability(1.0)
    ('.021', '< .001', '> .999')
    """
    if math.isnan(value):
        return ""
    least = 10.0**-digits
    if value < least:
        return f"< {least:.{digits}f}".replace("0.", ".", 1)
    if value > 1.0 - least:
        return f"> {1.0 - least:.{digits}f}".replace("0.", ".", 1)
    return f"{value:.{digits}f}".replace("0.", ".", 1)
