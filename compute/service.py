"""nova-compute: one object a host, several of them in a process if wanted."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging.rpc import server as rpc_server

from kilonova.common import concurrency, config, exception, rpc, rpc_many, service, version
from kilonova.common import context as ctx
from kilonova.common.clients import keystone
from kilonova.common.clients.placement import Placement
from kilonova.common.notifications.notifier import Notifier
from kilonova.compute import report, volume_usage
from kilonova.compute.build import BuildEndpoint
from kilonova.compute.config import list_opts
from kilonova.compute.console import ConsoleEndpoint
from kilonova.compute.delete import DeleteEndpoint
from kilonova.compute.enabling import HostEndpoint
from kilonova.compute.events import EventsEndpoint
from kilonova.compute.handlers import HANDLERS
from kilonova.compute.health import Health
from kilonova.compute.host import Host
from kilonova.compute.image_caching import ImageCachingEndpoint
from kilonova.compute.interface import ComputeInterface
from kilonova.compute.inventory import HostInventory
from kilonova.compute.live_migration import SteeringEndpoint
from kilonova.compute.monitors import Monitors
from kilonova.compute.network import Ports
from kilonova.compute.network_refresh import NetworkRefresh
from kilonova.compute.notices import Notices, Telling
from kilonova.compute.orphans import Orphans
from kilonova.compute.periodic import Periodic
from kilonova.compute.power_sync import PowerSync
from kilonova.compute.quiesce import QuiesceEndpoint
from kilonova.compute.recovery import Recovery
from kilonova.compute.virt import loader
from kilonova.compute.volumes import Volumes
from kilonova.compute.work import WorkEndpoint
from kilonova.conductor import interface

LOG = logging.getLogger(__name__)
T = TypeVar('T')

BINARY = 'nova-compute'
# Hosts that come up at the same time in one process.
STARTING = 16
MANY = 17
"""Hosts in one process that are worth sharing what else each has for itself."""
# How often a host asks for its audit; it is done once in each period.
AUDIT_INTERVAL = 600
# What is left of graceful_shutdown_timeout for stopping itself.
MARGIN = 5


class Compute:
    """One hypervisor host: driver, endpoints, reports."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        host: str | None = None,
        conductor: interface.ConductorInterface | None = None,
        placement: Placement | None = None,
        periodic: Periodic | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        config.register(list_opts(), conf)
        self.conf, self._transport = conf, transport
        name = host or conf.host
        driver = loader.load(conf)
        conductor = conductor or interface.client(conf, transport)
        placement = placement or Placement(keystone.adapter(conf, 'placement'))
        self.host = Host(
            name=name,
            conf=conf,
            driver=driver,
            conductor=conductor,
            ports=Ports(conf, name),
            volumes=Volumes(conf, name, driver),
            inventory=HostInventory(conf, name, driver, conductor, placement),
            notices=Notices(name, conf.my_ip, notifier),
        )
        driver.on_unreachable(self.host.notices.hypervisor_away)
        self._monitors = Monitors(self.host)
        self.power_sync = PowerSync(self.host)
        self.network_refresh = NetworkRefresh(self.host)
        self.orphans = Orphans(self.host)
        self._recovery = Recovery(self.host, self.orphans, self.power_sync)
        self.health = Health(self.host)
        self._shared = periodic is not None
        self._periodic = periodic or Periodic()
        self._heartbeat = service.Heartbeat(conf.report_interval, self.report_state)
        self._server: rpc_server.RPCServer | None = None

    def start(self) -> None:
        """Come up; what the conductor sends meanwhile waits until the guests are looked through.

        One of many hosts in a process (``periodic`` was given) leaves the bus to ``Computes``.
        """
        host = self.host
        host.driver.init_host(host.name)
        if not self._shared:
            self._server = rpc.serve(self._transport, ComputeInterface, self.endpoints(), host.name)
        self._register()
        self._update_inventory()
        self._until_answered('The look at the guests', self._recovery.run)
        host.operations.ready.set()
        self.power_sync.collector.start()
        self.network_refresh.collector.start()
        self._add_jobs()
        if not self._shared:
            self._heartbeat.start()
            self._periodic.start()
        LOG.info('Host %s is up', host.name)

    def stop(self) -> None:
        """Finish what runs here within graceful_shutdown_timeout; leave the rest to the next start."""
        limit = self.conf.graceful_shutdown_timeout
        self._periodic.stop()
        # Events are still taken in: builds that are to be finished wait for them.
        self.host.operations.drain(max(limit - MARGIN, 0) if limit else None)
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        self.power_sync.collector.stop()
        self.network_refresh.collector.stop()
        self._heartbeat.stop()
        self.host.driver.close()

    def endpoints(self) -> list[object]:
        """Return what answers ComputeInterface."""
        made: list[object] = [
            BuildEndpoint(self.host),
            DeleteEndpoint(self.host),
            WorkEndpoint(self.host, HANDLERS),
            SteeringEndpoint(self.host),
            ConsoleEndpoint(self.host),
            ImageCachingEndpoint(self.host),
            HostEndpoint(self.host),
            QuiesceEndpoint(self.host),
            EventsEndpoint(self.host.events, self.network_refresh),
        ]
        return [Telling(one, self.host.notices) for one in made]

    def report_state(self) -> None:
        """Send one heartbeat with what runs here; register anew when our record was deleted."""
        host = self.host
        try:
            host.conductor.report_state(
                ctx.get_admin_context(), host.name, BINARY, host.operations.running()
            )
            host.doubt.heard()
        except exception.NotFound:
            LOG.warning('The record of host %s is gone, registering again', host.name)
            self._register()
            host.inventory.forget()
            host.inventory.update()

    def _register(self) -> None:
        found = self._until_answered(
            'The start',
            lambda: self.host.conductor.service_started(
                ctx.get_admin_context(),
                self.host.name,
                BINARY,
                ComputeInterface.TOPIC,
                version.SERVICE_VERSION,
            ),
        )
        self.host.inventory.disabled = found.disabled

    def _update_inventory(self) -> None:
        """Tell what we offer; a placement that is away holds up nothing, it is told later."""
        self._monitors.measure()
        try:
            self.host.inventory.update()
        except exception.KilonovaError as error:
            LOG.error('The inventory of %s could not be sent yet: %s', self.host.name, error)
        self._monitors.announce()

    def _age_images(self) -> None:
        servers = self.host.conductor.get_host_servers(ctx.get_admin_context(), self.host.name)
        self.host.driver.age_images(servers)

    def _until_answered(self, what: str, send: Callable[[], T]) -> T:
        return report.deliver(what, send, report.Until(self.host.operations.stopping))

    def _add_jobs(self) -> None:
        conf = self.conf
        self._periodic.add(conf.update_resources_interval, self._update_inventory)
        self._periodic.add(conf.report_interval, self.health.look)
        self._periodic.add(conf.sync_power_state_interval, self.power_sync.sync_all)
        self._periodic.add(conf.running_deleted_instance_poll_interval, self.orphans.reap)
        self._periodic.add(conf.report_interval, self.orphans.look_again)
        if self.host.driver.keeps_images:
            self._periodic.add(conf.image_cache.manager_interval, self._age_images)
        if conf.instance_usage_audit:
            self._periodic.add(AUDIT_INTERVAL, self._audit_usage)
        if conf.volume_usage_poll_interval > 0:
            self._periodic.add(
                conf.volume_usage_poll_interval, lambda: volume_usage.report_all(self.host)
            )
        self._periodic.add(conf.heal_instance_info_cache_interval, self.network_refresh.heal_next)

    def _audit_usage(self) -> None:
        """The conductor knows whether there is something to do in this period."""
        self.host.conductor.audit_usage(ctx.get_admin_context(), self.host.name)


class Computes:
    """Several hosts in one process: what the fake driver is for."""

    def __init__(
        self, conf: cfg.ConfigOpts, transport: messaging.Transport, hosts: Sequence[str]
    ) -> None:
        self._transport, self._conductor = transport, interface.client(conf, transport)
        placement = Placement(keystone.adapter(conf, 'placement'))
        self._periodic = Periodic()
        self._notifier = Notifier(conf)
        self._are_many = len(hosts) >= MANY
        shared = self._periodic if self._are_many else None
        self.computes = [
            Compute(conf, transport, host, self._conductor, placement, shared, self._notifier)
            for host in hosts
        ]
        self._heartbeat = service.Heartbeat(conf.report_interval, self.report_states)
        self._servers: list[rpc_server.RPCServer] = []

    def start(self) -> None:
        """Come up, some at a time; many hosts share their connection, heartbeat and clock."""
        self._notifier.start()
        if self._are_many:
            endpoints = {one.host.name: one.endpoints() for one in self.computes}
            self._servers = rpc_many.serve_many(self._transport, ComputeInterface, endpoints)
            self._heartbeat.start()
        for number in range(0, len(self.computes), STARTING):
            self._together(compute.start for compute in self.computes[number : number + STARTING])
        if self._are_many:
            self._periodic.start()  # with the jobs of all of them

    def stop(self) -> None:
        self._together(compute.stop for compute in self.computes)
        for server in self._servers:
            server.stop()
            server.wait()
        self._heartbeat.stop()
        self._notifier.stop()

    def report_states(self) -> None:
        """Send one heartbeat for all hosts that are up."""
        running = {
            one.host.name: one.host.operations.running()
            for one in self.computes
            if one.host.operations.ready.is_set()
        }
        if running:
            self._conductor.report_states(ctx.get_admin_context(), BINARY, running)
        for one in self.computes:
            if one.host.name in running:
                one.host.doubt.heard()

    @staticmethod
    def _together(actions: Iterable[Callable[[], None]]) -> None:
        for future in [concurrency.spawn(action) for action in actions]:
            future.result()


def make(conf: cfg.ConfigOpts, transport: messaging.Transport) -> Computes:
    """Return the daemon: one host, or those of ``[fake_driver]hosts``."""
    config.register(list_opts(), conf)
    hosts = fake_hosts(conf) if loader.is_fake(conf) else [conf.host]
    return Computes(conf, transport, hosts)


def fake_hosts(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of the hosts that a fake driver plays."""
    wanted = (conf.fake_driver.hosts or '1').strip()
    if not wanted.isdigit():
        return [name.strip() for name in wanted.split(',') if name.strip()]
    if int(wanted) <= 1:
        return [conf.host]
    return [f'{conf.host}-{number}' for number in range(1, int(wanted) + 1)]
