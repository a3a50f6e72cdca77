"""Sorted pages after a marker, with the same order on every database.

An empty value sorts before all others (ascending), which databases do not agree on by
themselves.  The last key must be unique, or rows that are alike may be lost between two pages.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from kilonova.common import exception

Column = sa.orm.InstrumentedAttribute[Any]
Key = tuple[Column, str]
"""A column and 'asc' or 'desc'."""


def _nullable(column: Column) -> bool:
    return bool(column.expression.nullable)


def _order(key: Key) -> list[sa.ColumnElement[Any]]:
    column, direction = key
    parts: list[sa.ColumnElement[Any]] = []
    if _nullable(column):
        parts.append(sa.case((column.is_(None), 0), else_=1))
    parts.append(column.expression)
    return [part.asc() if direction == 'asc' else part.desc() for part in parts]


def _after(key: Key, value: Any) -> sa.ColumnElement[bool]:
    column, direction = key
    if direction == 'asc':
        return column.is_not(None) if value is None else column > value
    if value is None:
        return sa.false()
    return sa.or_(column < value, column.is_(None)) if _nullable(column) else column < value


def _same(key: Key, value: Any) -> sa.ColumnElement[bool]:
    return key[0].is_(None) if value is None else key[0] == value


def after_marker(keys: Sequence[Key], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the condition for rows that come after the one with these key values."""
    alternatives = []
    for position, key in enumerate(keys):
        same = [_same(k, v) for k, v in zip(keys[:position], values, strict=False)]
        alternatives.append(sa.and_(*same, _after(key, values[position])))
    return sa.or_(*alternatives)


def page(
    query: sa.Select[Any],
    keys: Sequence[Key],
    marker: Sequence[Any] | None = None,
    limit: int | None = None,
) -> sa.Select[Any]:
    """Sort a query; begin after the row whose key values are ``marker``."""
    if marker is not None:
        query = query.where(after_marker(keys, marker))
    query = query.order_by(*(part for key in keys for part in _order(key)))
    return query if limit is None else query.limit(limit)


def check_direction(direction: str) -> str:
    """Raise InvalidInput unless it is 'asc' or 'desc'."""
    if direction not in ('asc', 'desc'):
        raise exception.InvalidInput(reason='Unknown sort direction, must be asc or desc.')
    return direction
