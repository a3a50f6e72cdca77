"""The programs nova-novncproxy, nova-spicehtml5proxy and nova-serialproxy."""

import functools
import os
import sys
from typing import Any

from kilonova.common import concurrency


def main_novnc() -> int:
    """Serve the VNC consoles of servers to browsers."""
    return _run('NOVNC')


def main_spice() -> int:
    """Serve the SPICE consoles of servers to browsers."""
    return _run('SPICE')


def main_serial() -> int:
    """Serve the serial consoles of servers over websockets."""
    return _run('SERIAL')


def _run(name: str) -> int:
    concurrency.choose(concurrency.configured(sys.argv[1:]))

    # What follows may be imported only now that the backend is chosen.
    from oslo_config import cfg

    from kilonova.common import service
    from kilonova.consoleproxy import config, kinds
    from kilonova.consoleproxy.service import Proxy

    kind: kinds.Kind = getattr(kinds, name)
    cfg.CONF.register_cli_opts(config.COMMON)
    cfg.CONF.set_default('web', kind.web)
    return service.run(
        kind.program,
        config.list_opts,
        functools.partial(Proxy, kind),
        transport=_transport,
    )


def _transport(conf: Any) -> Any:
    """Return the message bus: the first thing that is opened, so the background comes before."""
    from kilonova.common import rpc

    if conf.daemon:
        _go_to_background()
    return rpc.get_transport(conf)


def _go_to_background() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    concurrency.after_fork()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)


if __name__ == '__main__':
    sys.exit(main_novnc())
