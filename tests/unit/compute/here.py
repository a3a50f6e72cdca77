"""One host with its fellow services faked, for the tests of nova-compute."""

import pathlib
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from oslo_config import cfg

from kilonova.common import base_config, config
from kilonova.common.context import RequestContext
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import NetworkRequest, Networks
from kilonova.common.objects.operation import BuildRequest, ExternalEvent, Fence
from kilonova.common.objects.server import Server
from kilonova.compute import config as compute_config
from kilonova.compute.build import BuildEndpoint
from kilonova.compute.console import ConsoleEndpoint
from kilonova.compute.delete import DeleteEndpoint
from kilonova.compute.events import EventsEndpoint
from kilonova.compute.handlers import HANDLERS
from kilonova.compute.host import Host
from kilonova.compute.inventory import HostInventory
from kilonova.compute.network import Ports
from kilonova.compute.network_refresh import NetworkRefresh
from kilonova.compute.orphans import Orphans
from kilonova.compute.power_sync import PowerSync
from kilonova.compute.recovery import Recovery
from kilonova.compute.virt.fake import FakeDriver
from kilonova.compute.volumes import Volumes
from kilonova.compute.work import WorkEndpoint
from kilonova.tests.fakes.conductor import FakeConductor
from kilonova.tests.fakes.glance import FakeGlance
from kilonova.tests.fakes.neutron import FakeNeutron

CONTEXT = RequestContext(user_id='u', project_id='demo', overwrite=False)


def make_conf(folder: pathlib.Path, **groups: dict[str, Any]) -> cfg.ConfigOpts:
    """Return a configuration of its own with ``{group: {option: value}}`` set."""
    conf = cfg.ConfigOpts()
    config.register(base_config.list_opts(), conf)
    config.register(compute_config.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    values: dict[str, dict[str, Any]] = {
        'DEFAULT': {'host': 'here', 'state_path': str(folder), 'compute_driver': 'fake.FakeDriver'}
    }
    for group, options in groups.items():
        values.setdefault(group, {}).update(options)
    for group, options in values.items():
        for name, value in options.items():
            conf.set_override(name, value, group=None if group == 'DEFAULT' else group)
    return conf


def point_at(conf: cfg.ConfigOpts, group: str, url: str) -> None:
    """Let a section of the configuration name a fake service."""
    from keystoneauth1 import loading as ks

    ks.register_auth_conf_options(conf, group)
    conf.set_override('auth_type', 'none', group=group)
    conf.set_override('endpoint_override', url, group=group)
    conf.set_override('timeout', 5, group=group)


class Here:
    """A host that is ready, with everything that it talks to."""

    def __init__(self, folder: pathlib.Path, **groups: dict[str, Any]) -> None:
        self.conf = make_conf(folder, **groups)
        self.neutron, self.glance = FakeNeutron(), FakeGlance()
        point_at(self.conf, 'neutron', self.neutron.url)
        point_at(self.conf, 'glance', self.glance.url)
        self.conductor, self.driver = FakeConductor(), FakeDriver(self.conf)
        self.driver.init_host('here')
        self.host = Host(
            name='here',
            conf=self.conf,
            driver=self.driver,
            conductor=self.conductor,
            ports=Ports(self.conf, 'here'),
            volumes=Volumes(self.conf, 'here', self.driver),
            inventory=HostInventory(self.conf, 'here', self.driver, self.conductor, None),  # type: ignore[arg-type]
        )
        self.power_sync = PowerSync(self.host)
        self.refresh = NetworkRefresh(self.host)
        self.orphans = Orphans(self.host)
        self.recovery = Recovery(self.host, self.orphans, self.power_sync)
        self.builds, self.deletes = BuildEndpoint(self.host), DeleteEndpoint(self.host)
        self.work, self.console = WorkEndpoint(self.host, HANDLERS), ConsoleEndpoint(self.host)
        self.events = EventsEndpoint(self.host.events, self.refresh)
        self.host.operations.ready.set()

    def close(self) -> None:
        self.host.operations.drain(0)
        self.power_sync.collector.stop()
        self.refresh.collector.stop()
        self.driver.close()
        self.neutron.close()
        self.glance.close()

    # -- what tests do all the time

    def build(
        self,
        server: Server,
        networks: Networks | None = None,
        fence: Fence | None = None,
        **more: Any,
    ) -> Fence:
        """Send a build; returns its fence."""
        fence = fence or Fence(str(uuid.uuid4()), 1)
        request = BuildRequest(
            server=msgspec.structs.replace(server, operation=fence.operation),
            fence=fence,
            networks=networks or Networks(mode='none'),
            **more,
        )
        self.builds.build_server(CONTEXT, request)
        return fence

    def built(self, server: Server, networks: Networks | None = None) -> Server:
        """Build a server and return it as its record is afterwards."""
        count = len(self.conductor.named('build_finished')) + 1
        self.build(server, networks)
        found = self.conductor.wait_for('build_finished', count)
        self.wait_idle()
        server = msgspec.structs.replace(
            server,
            vm_state='active',
            power_state=found['power_state'],
            network_info=found['network_info'],
            launched_at=server.created_at,
        )
        self.conductor.servers[server.uuid] = server
        return server

    def plugged(self, server: Server, port_id: str, status: str = 'completed') -> None:
        """Let Neutron report a port."""
        event = ExternalEvent(
            name='network-vif-plugged', server_uuid=server.uuid, status=status, tag=port_id
        )
        self.events.external_events(CONTEXT, [event])

    def wait_idle(self) -> None:
        wait(lambda: not self.host.operations._tasks, 'nothing runs')


def make_server(**fields: Any) -> Server:
    """Return a server that is to be built here."""
    import datetime

    values: dict[str, Any] = {
        'id': 1,
        'uuid': str(uuid.uuid4()),
        'name': 'box',
        'hostname': 'box',
        'project_id': 'demo',
        'user_id': 'u',
        'host': 'here',
        'node': 'here',
        'availability_zone': 'nova',
        'flavor': Flavor(flavorid='1', name='tiny', memory_mb=64, vcpus=1, root_gb=1),
        'image': Image(),
        'created_at': datetime.datetime(2026, 1, 1),
    }
    return Server(**{**values, **fields})


def networks(*requests: NetworkRequest) -> Networks:
    return Networks(mode='list', requests=list(requests))


def wait(check: Callable[[], Any], what: str, seconds: float = 10) -> Any:
    """Return the first true answer of ``check``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = check()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f'not within {seconds} s: {what}')
