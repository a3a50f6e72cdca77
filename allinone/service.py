"""All daemons as objects of one process."""

import os

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.api import app as compute_api
from kilonova.api import config as api_config
from kilonova.api import server
from kilonova.api.metadata import app as metadata_api
from kilonova.common import base_config, config, rpc
from kilonova.compute import config as compute_config
from kilonova.compute import service as compute
from kilonova.conductor import first_start
from kilonova.conductor import service as conductor
from kilonova.conductor.interface import ConductorInterface
from kilonova.conductor.service import Conductor
from kilonova.consoleproxy import config as proxy_config
from kilonova.consoleproxy import kinds
from kilonova.consoleproxy.service import Proxy
from kilonova.scheduler import config as scheduler_config
from kilonova.scheduler.service import Scheduler


class AllInOne:
    """API, metadata, conductor, scheduler, compute and console proxies, over one transport.

    The schemas are made, or brought up to date, when it starts.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, transport: messaging.Transport, serve_http: bool = True
    ) -> None:
        config.register(self.options(), conf)
        self.conf, self.transport, self._serve_http = conf, transport, serve_http
        for group, name in (('api_database', 'nova_api'), ('database', 'nova')):
            conf.set_default(
                'connection', f'sqlite:///{conf.state_path}/{name}.sqlite', group=group
            )
        conf.set_default('compute_driver', 'fake.FakeDriver')
        conf.set_default('state_dir', f'{conf.state_path}/fake', group='fake_driver')
        self.client = rpc.client_for(ConductorInterface, transport)

    @staticmethod
    def options() -> config.Opts:
        """Return what all of the daemons read."""
        return [
            *base_config.list_opts(),
            *api_config.list_opts(),
            *compute_config.list_opts(),
            *conductor.list_opts(),
            *scheduler_config.list_opts(),
            *proxy_config.list_opts(),
        ]

    def start(self) -> None:
        """Start the conductor first: everybody else waits for it."""
        os.makedirs(self.conf.state_path, mode=0o750, exist_ok=True)
        first_start.prepare(self.conf)
        self.conductor = Conductor(self.conf, self.transport)
        self.conductor.start()
        self.scheduler = Scheduler(self.conf, self.transport)
        self.scheduler.start()
        self.computes = compute.make(self.conf, self.transport)
        self.computes.start()
        self.compute_app = compute_api.make_compute_app(self.conf, self.client)
        self.metadata_app = metadata_api.make_metadata_app(self.conf, self.client)
        self._servers: list[server.Server] = []
        self._proxies: list[Proxy] = []
        if self._serve_http:
            self._servers = server.serve(
                self.conf, {'osapi_compute': self.compute_app, 'metadata': self.metadata_app}
            )
            self._start_proxies()

    def _start_proxies(self) -> None:
        """Start those for which guests have a console."""
        for kind in (kinds.NOVNC, kinds.SPICE, kinds.SERIAL):
            if self.conf[kind.group].enabled:
                self._proxies.append(Proxy(kind, self.conf, self.transport, kind.web))
                self._proxies[-1].start()

    def stop(self) -> None:
        """Stop in the order in which requests come in."""
        for listener in self._servers:
            listener.stop()
        for proxy in self._proxies:
            proxy.stop()
        self.computes.stop()
        self.scheduler.stop()
        self.conductor.stop()
