"""Exact numbers: everything is computed as a Fraction and rounded only where the rules say so."""

from decimal import Decimal
from fractions import Fraction


def round_half_away(number: Fraction, digits: int = 6) -> Fraction:
    """Round as PostgreSQL rounds numeric: half away from zero (0002.9)."""
    scaled = abs(number) * 10**digits
    nearest = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(nearest if number >= 0 else -nearest, 10**digits)


def figure(number: Fraction | int | None, digits: int = 6) -> Decimal | None:
    """A number as it is published: rounded to so many decimals, null when there is none."""
    if number is None:
        return None
    return Decimal(int(round_half_away(Fraction(number), digits) * 10**digits)).scaleb(-digits)
