"""The API daemons: applications, and the ports that they are served on."""

from collections.abc import Callable
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.api import app, server
from kilonova.api.metadata import app as metadata_app
from kilonova.common.service import cpu_count
from kilonova.conductor import interface

APPLICATIONS: dict[str, Callable[[cfg.ConfigOpts, interface.ConductorInterface], Any]] = {
    'osapi_compute': app.make_compute_app,
    'metadata': metadata_app.make_metadata_app,
}


class Api:
    """Some of the APIs; ``names`` None: those of ``enabled_apis``."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        names: tuple[str, ...] | None = None,
    ) -> None:
        conductor = interface.client(conf, transport)
        self._names = tuple(conf.enabled_apis) if names is None else names
        self._conf = conf
        self._applications = {name: APPLICATIONS[name](conf, conductor) for name in self._names}
        self.servers: list[server.Server] = []

    def start(self) -> None:
        self.servers = server.serve(
            self._conf, self._applications, shared=workers(self._conf, self._names) > 1
        )

    def stop(self) -> None:
        for one in self.servers:
            one.stop()


def workers(conf: cfg.ConfigOpts, names: tuple[str, ...] | None = None) -> int:
    """Return how many processes serve: as many as the API with the most asks for."""
    counts = {'osapi_compute': conf.osapi_compute_workers, 'metadata': conf.metadata_workers}
    asked = [counts[name] or cpu_count() for name in names or tuple(conf.enabled_apis)]
    return max(asked, default=1)
