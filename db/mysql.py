"""What is particular to MariaDB and MySQL."""

import functools
import ssl
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine


def tune(engine: Engine, options: Any) -> None:
    """Set up each new connection as ``options`` say."""

    @event.listens_for(engine, 'connect')
    def connect(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            if options.mysql_sql_mode:
                cursor.execute('SET SESSION sql_mode = %s', (options.mysql_sql_mode,))
            if options.mysql_wsrep_sync_wait is not None:
                cursor.execute('SET SESSION wsrep_sync_wait = %s', (options.mysql_wsrep_sync_wait,))

    if engine.dialect.driver == 'pymysql':
        event.listen(engine, 'do_connect', _connect)


def _connect(dialect: Dialect, record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
    return _connection_class()(*arguments, **parameters)


@functools.cache
def _connection_class() -> type[Any]:
    from pymysql import connections

    class Connection(connections.Connection):  # type: ignore[misc, unused-ignore]
        """One whose TLS settings, when there are none, are read once a process.

        A server may offer TLS, so the driver reads all of the system's authorities for each
        connection: 10 milliseconds, more than all else that a request costs here.
        """

        def _create_ssl_ctx(self, settings: Any) -> ssl.SSLContext:
            if settings:
                found: ssl.SSLContext = super()._create_ssl_ctx(settings)
                return found
            global _shared
            if _shared is None:
                _shared = super()._create_ssl_ctx(settings)
            return _shared

    return Connection


_shared: ssl.SSLContext | None = None
