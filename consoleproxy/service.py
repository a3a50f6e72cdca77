"""A console proxy as a daemon."""

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.conductor import interface
from kilonova.consoleproxy import kinds, vencrypt
from kilonova.consoleproxy.kinds import Kind
from kilonova.consoleproxy.listener import Listener
from kilonova.consoleproxy.watch import Watch


class Proxy:
    """Listens, and asks the conductor who may come in.

    ``web`` is for several proxies in one process, each with a client of its own.
    """

    def __init__(
        self,
        kind: Kind,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        web: str | None = None,
    ) -> None:
        if kind is kinds.NOVNC and 'vencrypt' in conf.vnc.auth_schemes:
            vencrypt.context(conf)  # what is wrong with it is to be told now
        self._listener = Listener(
            conf, kind, interface.client(conf, transport), conf.web if web is None else web
        )

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def watch(self) -> Watch:
        return self._listener.watch

    def start(self) -> None:
        self._listener.start()

    def stop(self) -> None:
        self._listener.stop()
