"""The real placement service, in this process, on a loopback port.

    with PlacementFixture(tmp_path) as placement:
        placement.configure(conf)            # [placement] of a daemon's configuration
        client = Placement(placement.adapter())

Placement keeps its engine and policy in globals, so only one fixture can be open at a
time.  Its SQLite would fail requests that write at the same time, so requests are
worked one after the other; ``intercept`` sees them before that, and may answer itself.
"""

import json
import pathlib
import tempfile
import threading
from collections.abc import Callable, Iterable
from typing import Any, Self

import sqlalchemy
from cheroot import wsgi
from keystoneauth1 import adapter as ks_adapter
from keystoneauth1 import loading as ks
from keystoneauth1 import session as ks_session
from keystoneauth1 import token_endpoint
from oslo_config import cfg
from oslo_db.sqlalchemy import exc_filters
from placement import conf as placement_conf
from placement import db_api, deploy
from placement.db.sqlalchemy import migration

from kilonova.common.clients import keystone

# Answers (status, error code, detail) instead of placement, or None to let it work.
Intercept = Callable[[str, str], tuple[int, str, str] | None]
StartResponse = Callable[..., Any]

_template: bytes | None = None


def _engine(path: pathlib.Path) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(f'sqlite:///{path}', connect_args={'timeout': 30})
    exc_filters.register_engine(engine)

    @sqlalchemy.event.listens_for(engine, 'connect')
    def speed_up(connection: Any, _record: Any) -> None:
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = OFF')

    return engine


def _make_config() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    placement_conf.register_opts(conf)
    conf.set_override('auth_strategy', 'noauth2', group='api')
    # Engines are patched in; this one is only there so that the facade can start.
    conf.set_override('connection', 'sqlite://', group='placement_database')
    conf([], project='placement', default_config_files=[], default_config_dirs=[])
    return conf


class PlacementFixture:
    """Placement with an empty database in ``directory``.  ``token`` 'admin' may do everything."""

    TOKEN = 'admin'

    def __init__(self, directory: pathlib.Path) -> None:
        self.requests: list[tuple[str, str]] = []
        """Method and path (with query) of every request so far."""
        self.connections: set[str] = set()
        """The clients' ports: one for each connection."""
        self.intercept: Intercept | None = None
        self._path = directory / 'placement.sqlite'
        self._conf = _make_config()
        self._one_at_a_time = threading.Lock()
        self._undo: list[Callable[[], Any]] = []

    def __enter__(self) -> Self:
        if not db_api.configure.called:
            db_api.configure(self._conf)
            # Started by itself the facade would register its options in our [database].
            cfg.CONF.register_group(cfg.OptGroup('database'))
            db_api.placement_context_manager._factory._start(conf=None)
        self._path.write_bytes(self._get_template())
        self._patch(_engine(self._path))
        self._app = deploy.loadapp(self._conf)
        self._server = wsgi.Server(
            ('127.0.0.1', 0), self._serve, numthreads=8, server_name='localhost', timeout=60
        )
        self._server.expiration_interval = 0.02  # how long a stop waits
        self._server.prepare()
        self.url = 'http://{}:{}'.format(*self._server.bind_addr)
        self._thread = threading.Thread(target=self._server.serve, daemon=True, name='placement')
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop()
        self._thread.join(10)
        while self._undo:
            self._undo.pop()()

    start = __enter__

    def stop(self) -> None:
        """Undo ``start``."""
        self.__exit__()

    @property
    def request_count(self) -> int:
        return len(self.requests)

    def count(self, method: str, prefix: str) -> int:
        """Return how many requests of a method had a path that begins so."""
        return sum(m == method and path.startswith(prefix) for m, path in list(self.requests))

    def adapter(self) -> ks_adapter.Adapter:
        """Return a client's adapter, without a daemon's configuration."""
        auth = token_endpoint.Token(self.url, self.TOKEN)
        session = ks_session.Session(auth=auth, timeout=30)
        return ks_adapter.Adapter(session, service_type='placement')

    def configure(self, conf: cfg.ConfigOpts) -> None:
        """Make a daemon's [placement] section point here."""
        keystone._sections.clear()  # of an earlier fixture: sessions are kept by configuration
        conf.register_opts(ks.get_auth_plugin_conf_options('admin_token'), group='placement')
        for name, value in self.options().items():
            conf.set_override(name, value, group='placement')

    def options(self) -> dict[str, str]:
        """Return what [placement] in a nova.conf has to say."""
        return {'auth_type': 'admin_token', 'endpoint': self.url, 'token': self.TOKEN}

    def usages(self) -> dict[str, dict[str, int]]:
        """Return what is allocated: consumer to resource class to amount, straight from the table."""
        query = sqlalchemy.text(
            'SELECT a.consumer_id, rc.name, SUM(a.used) FROM allocations a'
            ' JOIN resource_classes rc ON rc.id = a.resource_class_id GROUP BY 1, 2'
        )
        held: dict[str, dict[str, int]] = {}
        with self._one_at_a_time, self._database.connect() as connection:
            for consumer, name, used in connection.execute(query):
                held.setdefault(consumer, {})[name] = int(used)
        return held

    # -- inside

    def _serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ['REQUEST_METHOD'], environ['PATH_INFO']
        query = environ.get('QUERY_STRING')
        path = f'{path}?{query}' if query else path
        self.requests.append((method, path))
        self.connections.add(environ['REMOTE_PORT'])
        if self.intercept is not None:
            answer = self.intercept(method, path)
            if answer is not None:
                environ['wsgi.input'].read()
                return _answer(answer, start_response)
        with self._one_at_a_time:
            return list(self._app(environ, start_response))

    def _patch(self, engine: sqlalchemy.Engine) -> None:
        self._database = engine
        self._undo += [engine.dispose, db_api.placement_context_manager.patch_engine(engine)]

    def _get_template(self) -> bytes:
        """Make the schema with its standard traits and resource classes once a process."""
        global _template
        if _template is None:
            with tempfile.TemporaryDirectory(prefix='placement-') as directory:
                _template = self._make_template(pathlib.Path(directory) / 'template')
        return _template

    def _make_template(self, path: pathlib.Path) -> bytes:
        engine = _engine(path)
        migration.create_schema(engine)
        reset = db_api.placement_context_manager.patch_engine(engine)
        deploy.update_database(self._conf)
        reset()
        with engine.connect() as connection:
            connection.exec_driver_sql('PRAGMA wal_checkpoint(TRUNCATE)')
        engine.dispose()
        return path.read_bytes()


def _answer(answer: tuple[int, str, str], start_response: StartResponse) -> list[bytes]:
    status, code, detail = answer
    body = json.dumps({'errors': [{'status': status, 'code': code, 'detail': detail}]}).encode()
    headers = [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))]
    start_response(f'{status} Intercepted', headers)
    return [body]
