"""How the APIs are put together where another web server runs them.

Whatever they need is imported here, not by the first request: eventlet, which the libraries
import, loads a second copy of ``threading``, and the thread that does so can never be joined.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oslo_config import cfg

from kilonova.api import config, service
from kilonova.common import config as common
from kilonova.common import rpc
from kilonova.conductor import interface

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


def config_files(environment: Mapping[str, str]) -> list[str]:
    """Return the files to read."""
    folder = environment.get('OS_NOVA_CONFIG_DIR', '').strip() or '/etc/nova'
    names = [name.strip() for name in environment.get('OS_NOVA_CONFIG_FILES', '').split(';')]
    # The paste file used to be named beside nova.conf; it holds no options.
    names = [name for name in names if name and not name.endswith('api-paste.ini')]
    return [os.path.join(folder, name) for name in names or ['nova.conf']]


def configure(environment: Mapping[str, str]) -> cfg.ConfigOpts:
    """Read the files that the environment names into the process's configuration."""
    common.register(config.list_opts(), common.CONF)
    argv = [word for path in config_files(environment) for word in ('--config-file', path)]
    common.parse(argv, 'nova-api', common.CONF)
    return common.CONF


class Application:
    """One of the APIs, built by its first request.

    By then the web server has forked its workers, so each has connections of its own; and
    the API that a server does not serve costs it nothing.
    """

    def __init__(self, name: str, conf: cfg.ConfigOpts) -> None:
        self._name, self._conf = name, conf
        self._lock = threading.Lock()
        self._built: WSGI | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._built is None:
            with self._lock:
                self._built = self._built or self._build()
        return self._built(environ, start_response)

    def _build(self) -> WSGI:
        # How many processes serve is the web server's affair: they share what they remember.
        self._conf.set_override('metadata_workers', max(2, self._conf.metadata_workers or 0))
        client = interface.client(self._conf, rpc.get_transport(self._conf))
        application: WSGI = service.APPLICATIONS[self._name](self._conf, client)
        return application
