"""What a test counts of the database's statements."""

from collections.abc import Iterable


def sql(statements: Iterable[str]) -> list[str]:
    """Leave out what begins transactions: not every database sends it."""
    return [text for text in statements if not text.startswith('BEGIN')]
