"""Column types that mean the same on SQLite, MariaDB and PostgreSQL."""

import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

LongText = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
"""Text of any length; MariaDB's plain TEXT ends at 64 KiB."""

MYSQL: dict[str, Any] = {
    'mysql_engine': 'InnoDB',
    'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin',
}
"""Table options: names compare exactly, as they do on the other two databases."""


def utcnow() -> datetime.datetime:
    """Return the time in UTC without a zone, as it is kept everywhere."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


class UtcDateTime(sa.types.TypeDecorator[datetime.datetime]):
    """A time in UTC with microseconds; an aware value is converted before it is stored."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in ('mysql', 'mariadb'):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        if value is not None and value.tzinfo is not None:
            return value.astimezone(datetime.UTC).replace(tzinfo=None)
        return value


class Json(sa.types.TypeDecorator[Any]):
    """A JSON document in a text column; msgspec structs are written as they are."""

    impl = LongText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value)
