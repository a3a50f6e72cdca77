"""Connections and transactions.

``Database`` hides what differs between SQLite, MariaDB and PostgreSQL.  Every transaction
reads what is committed at each statement (READ COMMITTED), so a row that was locked first
is seen as the last writer left it.  On SQLite a writer begins with the write lock.
Writers of one process queue up before SQLite does, since waiting inside
it would stop all greenthreads, the one that holds the lock too.
"""

import contextlib
import functools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import event, exc, orm
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext, make_url

from kilonova.db import config, errors, happenings, mysql, patterns

LOG = logging.getLogger(__name__)
P = ParamSpec('P')
T = TypeVar('T')

DRIVERS = {
    'mysql': 'mysql+pymysql',
    'mariadb': 'mysql+pymysql',
    'postgresql': 'postgresql+psycopg2',
}
SQLITE_BUSY_SECONDS = 30
IDLE_SECONDS = 30
"""A connection that was idle for longer is pinged before it is used."""

CONFLICT_RETRIES = 20
LOST_SECONDS = 40
"""No new try after this time: whoever waits for the answer has given up soon after."""


class _FileLock:
    """The queue of one process's writers to one SQLite file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; a writer inside a writer would wait for itself, so it is refused."""
        if self._owner == threading.get_ident():
            raise RuntimeError('a transaction is open in this thread already')
        if not self._lock.acquire(timeout=SQLITE_BUSY_SECONDS * 2):
            raise RuntimeError('another transaction of this process does not end')
        self._owner = threading.get_ident()
        try:
            yield
        finally:
            self._owner = None
            self._lock.release()


_file_locks: dict[str, _FileLock] = {}


def normalize(url: str, parameters: str = '') -> URL:
    """Return the URL with the driver that is shipped, whatever a Nova configuration names."""
    if parameters:
        url += ('&' if '?' in url else '?') + parameters
    parsed = make_url(url)
    name = parsed.get_backend_name()
    if name == 'sqlite' and not parsed.database:
        raise ValueError('SQLite needs a file: sqlite:////var/lib/nova/nova.sqlite')
    return parsed.set(drivername=DRIVERS.get(name, parsed.drivername))


class Options:
    """The settings of one section, or Nova's defaults when there is no configuration."""

    def __init__(self, group: Any = None) -> None:
        if group is None:
            conf = cfg.ConfigOpts()
            conf.register_opts(config.list_opts()[0][1], group='database')
            conf([], default_config_files=[], default_config_dirs=[])
            group = conf.database
        self._group = group

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)


class Database:
    """One database: an engine, and sessions that know how to begin.

    ``group`` is a section of the configuration (``conf.database``, ``conf.api_database``).
    """

    def __init__(self, url: str, group: Any = None) -> None:
        self.options = Options(group)
        self.engine = _make_engine(url, self.options)
        self.name = self.engine.dialect.name
        replica = self.options.slave_connection
        self._replica = _make_engine(replica, self.options, reads=True) if replica else None
        self.listener: happenings.Listener | None = None
        """Who is told what was committed."""
        writer: Engine = self.engine
        self._file_lock: _FileLock | None = None
        if self.name == 'sqlite':
            writer = self.engine.execution_options(sqlite_begin='BEGIN IMMEDIATE')
            self._file_lock = _file_locks.setdefault(str(self.engine.url.database), _FileLock())
        self._writer = orm.sessionmaker(writer, expire_on_commit=False)
        reader = self._reading = self.engine
        if self.name != 'sqlite':
            reader = self._reading = _make_engine(url, self.options, reads=True)
        self._reader = orm.sessionmaker(reader, expire_on_commit=False, autoflush=False)
        self._stale_reader = orm.sessionmaker(
            self._replica if replica else reader, expire_on_commit=False, autoflush=False
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[orm.Session]:
        """Yield a session that is committed at the end, or rolled back by an exception."""
        with self._file_lock.held() if self._file_lock else contextlib.nullcontext():
            with self._writer.begin() as session:
                if self.listener is not None:
                    session.info[happenings.KEY] = []
                yield session
                told = self._look(session)
        if told and self.listener is not None:
            self.listener.tell(told)

    def _look(self, session: orm.Session) -> list[Any]:
        happened = happenings.of(session)
        return self.listener.read(session, happened) if happened and self.listener else []

    @contextlib.contextmanager
    def reader(self, stale: bool = False) -> Iterator[orm.Session]:
        """Yield a session for reads; what it changed is never stored.

        ``stale``: a replica that lags behind is good enough.
        """
        replica = stale or not self.options.synchronous_reader
        with (self._stale_reader if replica else self._reader)() as session:
            yield session

    def wait(self) -> None:
        """Wait until the database answers: ``max_retries`` times ``retry_interval`` seconds."""
        tries = 0
        while True:
            try:
                with self.engine.connect():
                    return
            except exc.OperationalError as error:
                tries += 1
                if 0 <= self.options.max_retries < tries:
                    raise
                LOG.warning('Database does not answer (try %d): %s', tries, error.orig)
                time.sleep(self.options.retry_interval)

    def close(self) -> None:
        """Close the pooled connections."""
        for engine in (self.engine, self._reading, self._replica):
            if engine is not None:
                engine.dispose()


def _make_engine(url: str, options: Options, reads: bool = False) -> Engine:
    """``reads``: each statement by itself, as READ COMMITTED sees it anyway, without two more messages
    that begin and end a transaction."""
    parsed = normalize(url, options.connection_parameters)
    arguments: dict[str, Any] = {
        'pool_recycle': options.connection_recycle_time,
        'pool_size': options.max_pool_size,
        'max_overflow': options.max_overflow,
    }
    if options.pool_timeout:
        arguments['pool_timeout'] = options.pool_timeout
    name = parsed.get_backend_name()
    if name == 'sqlite':
        arguments['connect_args'] = {'timeout': SQLITE_BUSY_SECONDS, 'check_same_thread': False}
    else:
        arguments['isolation_level'] = 'AUTOCOMMIT' if reads else 'READ COMMITTED'
        arguments['skip_autocommit_rollback'] = reads
    engine = sa.create_engine(parsed, **arguments)
    if name == 'sqlite':
        _tune_sqlite(engine, options)
    elif name == 'mysql':
        mysql.tune(engine, options)
    _ping_idle(engine)
    _mark_errors(engine, options)
    if options.connection_debug >= 50:
        level = logging.DEBUG if options.connection_debug >= 100 else logging.INFO
        logging.getLogger('sqlalchemy.engine').setLevel(level)
    return engine


def _tune_sqlite(engine: Engine, options: Options) -> None:
    @event.listens_for(engine, 'connect')
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver's own, late BEGIN is not wanted
        connection.execute('PRAGMA journal_mode=WAL')
        connection.execute('PRAGMA foreign_keys=ON')
        patterns.install(connection, record.info)
        connection.execute(
            'PRAGMA synchronous=%s' % ('FULL' if options.sqlite_synchronous else 'OFF')
        )

    @event.listens_for(engine, 'begin')
    def begin(connection: Connection) -> None:
        word = connection.get_execution_options().get('sqlite_begin', 'BEGIN')
        connection.exec_driver_sql(word)


def _ping_idle(engine: Engine) -> None:
    """Find out about a dead connection before a transaction starts on it."""

    @event.listens_for(engine, 'checkin')
    def checkin(connection: Any, record: Any) -> None:
        record.info['used'] = time.monotonic()

    @event.listens_for(engine, 'checkout')
    def checkout(connection: Any, record: Any, proxy: Any) -> None:
        used = record.info.get('used')
        if used is None or time.monotonic() - used < IDLE_SECONDS:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except Exception as error:
            if not isinstance(error, engine.dialect.loaded_dbapi.Error):
                raise
            alive = False
        if not alive:
            raise exc.DisconnectionError('the database closed an idle connection')


def affected(session: orm.Session, statement: sa.Update | sa.Delete | sa.Insert) -> int:
    """Execute an UPDATE, DELETE or INSERT; return how many rows it met."""
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]


def _mark_errors(engine: Engine, options: Options) -> None:
    """Let each error say how often its database is worth another try; see ``retry``."""

    @event.listens_for(engine, 'handle_error')
    def mark(context: ExceptionContext) -> None:
        if context.sqlalchemy_exception is not None:
            vars(context.sqlalchemy_exception)['options'] = options


def _pause(options: Options, tries: int) -> float:
    pause: float = options.db_retry_interval
    if options.db_inc_retry_interval:
        pause = min(pause * 2 ** (tries - 1), options.db_max_retry_interval)
    return pause


_patience = threading.local()


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Let ``retry`` give up at once, in this thread, when a database is away.

    For whoever has something to say without it.
    """
    _patience.missing = True
    try:
        yield
    finally:
        _patience.missing = False


def retry(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function again when its transaction lost against another or lost its connection.

    The function must open its transaction itself, so that it starts afresh.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        conflicts = losses = 0
        started = time.monotonic()
        while True:
            try:
                return function(*args, **kwargs)
            except exc.DBAPIError as error:
                if errors.is_lost_connection(error):
                    losses += 1
                    options = vars(error).get('options') or Options()
                    pause = _pause(options, losses)
                    if time.monotonic() - started > LOST_SECONDS:
                        raise
                    if getattr(_patience, 'missing', False):
                        if losses > 1:
                            raise
                        continue  # the first loss may have been an old connection's
                    if 0 <= options.db_max_retries < losses:
                        raise
                elif errors.is_conflict(error):
                    conflicts += 1
                    pause = random.uniform(0, min(0.02 * 2**conflicts, 1))
                    if conflicts > CONFLICT_RETRIES:
                        raise
                else:
                    raise
                LOG.info('Running %s again: %s', function.__qualname__, error.orig)
            time.sleep(pause)

    return run


@contextlib.contextmanager
def count_statements() -> Iterator[list[str]]:
    """Yield a list that receives every SQL statement of this process (for tests)."""
    statements: list[str] = []

    def note(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if not statement.startswith('BEGIN'):  # SQLite's is ours; the others' is in the driver
            statements.append(statement)

    event.listen(Engine, 'before_cursor_execute', note)
    try:
        yield statements
    finally:
        event.remove(Engine, 'before_cursor_execute', note)
