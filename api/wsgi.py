"""The APIs for other web servers: ``kilonova.api.wsgi:compute`` and ``:metadata``.

The configuration is named by the environment, as there is no command line:
OS_NOVA_CONFIG_DIR (``/etc/nova``) and OS_NOVA_CONFIG_FILES in it (``nova.conf``), with
semicolons between them.  An application is built when the server first asks for it.
"""

import functools
import os
import threading
from typing import Any

from oslo_config import cfg

_lock = threading.Lock()


def config_files(environment: dict[str, str]) -> list[str]:
    """Return the files to read."""
    folder = environment.get('OS_NOVA_CONFIG_DIR', '').strip() or '/etc/nova'
    names = [name.strip() for name in environment.get('OS_NOVA_CONFIG_FILES', '').split(';')]
    # The paste file used to be named beside nova.conf; it holds no options.
    names = [name for name in names if name and not name.endswith('api-paste.ini')]
    return [os.path.join(folder, name) for name in names or ['nova.conf']]


@functools.cache
def _configured() -> cfg.ConfigOpts:
    from kilonova.api import config
    from kilonova.common import config as common

    common.register(config.list_opts(), common.CONF)
    files = config_files(dict(os.environ))
    argv = [word for path in files for word in ('--config-file', path)]
    common.parse(argv, 'nova-api', common.CONF)
    return common.CONF


@functools.cache
def _application(name: str) -> Any:
    from kilonova.api import service
    from kilonova.common import rpc
    from kilonova.conductor import interface

    conf = _configured()
    return service.APPLICATIONS[name](conf, interface.client(conf, rpc.get_transport(conf)))


_NAMES = {'compute': 'osapi_compute', 'metadata': 'metadata'}


def __getattr__(name: str) -> Any:
    """Build ``compute`` or ``metadata``."""
    if name not in _NAMES:
        raise AttributeError(name)
    with _lock:
        return _application(_NAMES[name])
