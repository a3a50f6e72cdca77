"""Regular expressions of users, which may take for ever: each database gets a time limit.

Such a pattern tries all ways to read a text before it gives up, and there can be more of
them than anybody can wait for; the statement then ends with an error.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import regex
import sqlalchemy as sa
from sqlalchemy.orm import Session

SECONDS = 2.0
REFUSED = 'user-defined function raised exception'
"""What SQLite says when ``Matcher`` gives up, or cannot read the pattern."""

OUT_OF_TIME = (1969, 3024, '57014')
"""MariaDB, MySQL and PostgreSQL ended a statement that took too long."""

_KEY = 'kilonova_matcher'


class Matcher:
    """One SQLite connection's REGEXP; a statement calls it for row after row."""

    def __init__(self) -> None:
        self.deadline: float | None = None

    def __call__(self, pattern: str | None, text: Any) -> bool | None:
        if pattern is None or text is None:
            return None
        rest = None
        if self.deadline is not None:
            rest = self.deadline - time.monotonic()
            if rest <= 0:
                raise TimeoutError
        return regex.search(pattern, str(text), timeout=rest) is not None


def install(connection: Any, info: dict[Any, Any]) -> None:
    """Give a new SQLite connection a REGEXP that ends in time."""
    info[_KEY] = matcher = Matcher()
    connection.create_function('regexp', 2, matcher)


@contextlib.contextmanager
def limited(session: Session, wanted: bool) -> Iterator[None]:
    """Let the statements inside take a few seconds at most."""
    if not wanted:
        yield
        return
    # What a server is, is known once it has been connected to.
    dialect = session.connection().dialect
    if dialect.name == 'sqlite':
        matcher: Matcher = session.connection().connection.info[_KEY]
        matcher.deadline = time.monotonic() + SECONDS
        try:
            yield
        finally:
            matcher.deadline = None
        return
    limits = _limits(dialect)
    session.execute(sa.text(limits[0]))
    try:
        yield
    finally:
        session.execute(sa.text(limits[1]))


def _limits(dialect: sa.Dialect) -> tuple[str, str]:
    """Return statements that set the limit and that take it back."""
    if dialect.name == 'postgresql':
        return f'SET statement_timeout = {int(SECONDS * 1000)}', 'RESET statement_timeout'
    if getattr(dialect, 'is_mariadb', False):
        return f'SET max_statement_time = {SECONDS}', 'SET max_statement_time = 0'
    return f'SET max_execution_time = {int(SECONDS * 1000)}', 'SET max_execution_time = 0'
