"""The conductor daemon: its endpoints, put together."""

import functools

import oslo_messaging as messaging
import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import config, exception, rpc, service, version
from kilonova.common import context as ctx
from kilonova.common.clients import cinder, keystone, neutron
from kilonova.common.clients.placement import Placement
from kilonova.common.notifications import config as notifications_config
from kilonova.common.notifications.notifier import Notifier
from kilonova.compute.interface import ComputeInterface
from kilonova.conductor import config as conductor_config
from kilonova.conductor.aggregates import Aggregates
from kilonova.conductor.flavors import Flavors
from kilonova.conductor.host_changes import HostTableChanges
from kilonova.conductor.host_control import HostControl
from kilonova.conductor.host_table import Hosts
from kilonova.conductor.hypervisors import Hypervisors
from kilonova.conductor.image_caching import ImageCaching
from kilonova.conductor.interface import ConductorInterface
from kilonova.conductor.keypairs import Keypairs
from kilonova.conductor.notify.announce import Announcing
from kilonova.conductor.notify.watch import Watch
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.quotas import Quotas
from kilonova.conductor.server_groups import ServerGroups
from kilonova.conductor.servers.actions import ServerActions
from kilonova.conductor.servers.consoles import ServerConsoles
from kilonova.conductor.servers.create import CreateServers
from kilonova.conductor.servers.hosts import ServerHosts
from kilonova.conductor.servers.live_migration import LiveMigrations
from kilonova.conductor.servers.lock import ServerLocks
from kilonova.conductor.servers.metadata import ServerMetadata, ServerTags
from kilonova.conductor.servers.migrations import ServerMigrations
from kilonova.conductor.servers.reports import Reports
from kilonova.conductor.servers.resize import ResizeServers
from kilonova.conductor.servers.show import ShowServers
from kilonova.conductor.servers.volumes import ServerVolumes
from kilonova.conductor.services import Heartbeats, Services
from kilonova.conductor.tasks.bookings import Bookings
from kilonova.conductor.tasks.build import Build
from kilonova.conductor.tasks.debts import Debts
from kilonova.conductor.tasks.deferred_delete import DeferredDelete
from kilonova.conductor.tasks.delete import Delete
from kilonova.conductor.tasks.evacuation import Evacuation
from kilonova.conductor.tasks.interfaces import Interfaces
from kilonova.conductor.tasks.moving import Mover
from kilonova.conductor.tasks.rebuild import Rebuild
from kilonova.conductor.tasks.shares import ServerShares
from kilonova.conductor.tasks.shelve import Shelving
from kilonova.conductor.tasks.simple import SimpleActions
from kilonova.conductor.tasks.sizes import Sizes
from kilonova.conductor.usage import Usage
from kilonova.db import cells, hosts
from kilonova.db import config as db_config
from kilonova.db.engine import Database
from kilonova.scheduler.interface import SchedulerInterface

BINARY = 'nova-conductor'


def list_opts() -> config.Opts:
    """Return the options of all that runs in this daemon."""
    return [
        *conductor_config.list_opts(),
        *db_config.list_opts(),
        *notifications_config.list_opts(),
    ]


def server_endpoints(parts: Parts, engine: Engine) -> list[object]:
    """Return the endpoints for servers, with their operations known to the engine."""
    debts, mover = Debts(parts), Mover(parts)
    build, delete = Build(parts, engine), Delete(parts, engine, debts)
    engine.superseding.append(debts.close)
    engine.chores += [Bookings(parts).sweep, Sizes(parts).sweep, debts.sweep]
    volumes = ServerVolumes(parts, engine)
    return [
        CreateServers(parts, engine, build),
        ShowServers(parts),
        DeferredDelete(parts, engine, delete),
        ServerMetadata(parts),
        ServerTags(parts),
        ServerLocks(parts, engine),
        ServerActions(parts),
        ServerMigrations(parts),
        ServerHosts(parts, volumes.extending.extend),
        volumes,
        ServerConsoles(parts, engine),
        SimpleActions(parts, engine),
        Rebuild(parts, engine),
        Shelving(parts, engine, mover),
        Interfaces(parts, engine),
        ServerShares(parts, engine),
        ResizeServers(parts, engine, mover),
        LiveMigrations(parts, engine, mover),
        Evacuation(parts, engine, mover),
        Reports(parts, engine, build, delete),
    ]


def _database(conf: cfg.ConfigOpts, group: str) -> Database:
    url = conf[group].connection
    if not url:
        raise exception.KilonovaError(f'[{group}]connection is not set.')
    try:
        return Database(url, conf[group])
    except (ValueError, ImportError, sa.exc.ArgumentError) as error:
        raise exception.KilonovaError(f'[{group}]connection cannot be used: {error}') from error


def _wait(database: Database, table: str, command: str) -> None:
    try:
        database.wait()
        found = sa.inspect(database.engine).has_table(table)
    except sa.exc.DBAPIError as error:
        raise exception.KilonovaError(f'A database does not answer: {error.orig}') from error
    if not found:
        raise exception.KilonovaError(f'A database has no tables: run "{command}".')


class Conductor:
    """One conductor process."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
        config.register(list_opts(), conf)
        self.conf, self._transport = conf, transport
        self._api_db = _database(conf, 'api_database')
        self._cell_db = _database(conf, 'database')
        self._server: messaging.RPCServer | None = None

    def start(self) -> None:
        """Serve as soon as both databases answer.  Raises CellMappingNotFound."""
        _wait(self._api_db, 'cell_mappings', 'nova-manage api_db sync')
        _wait(self._cell_db, 'services', 'nova-manage db sync')
        conf, transport = self.conf, self._transport
        cell_id = cells.ensure_simple(self._api_db, conf).id
        caps = {name: self._version_cap(name) for name in ('compute', 'scheduler')}
        compute = rpc.client_for(ComputeInterface, transport, version_cap=caps['compute'])
        placement = Placement(keystone.adapter(conf, 'placement'))
        self._parts = Parts(
            conf=conf,
            api_db=self._api_db,
            cell_db=self._cell_db,
            scheduler=rpc.client_for(SchedulerInterface, transport, version_cap=caps['scheduler']),
            compute=compute,
            placement=placement,
            neutron=neutron.client(conf),
            volumes=functools.partial(cinder.client, conf),
            cell_id=cell_id,
        )
        self._notifier = Notifier(conf)
        if self._notifier.is_on:
            self._cell_db.listener = Watch(conf, self._notifier)
            self._notifier.start()
        self.engine = Engine(self._parts)
        self._heartbeats = Heartbeats(self._cell_db, self.engine.report_host)
        endpoints = self._host_endpoints(placement, compute, cell_id)
        self._services.service_started(
            ctx.get_admin_context(), conf.host, BINARY, 'conductor', version.SERVICE_VERSION
        )
        endpoints += server_endpoints(self._parts, self.engine)
        self._heartbeats.start()
        self._own = service.Heartbeat(conf.report_interval, self._report)
        self._own.start()
        if self._notifier.is_on:
            endpoints = [Announcing(one, endpoints, conf, self._notifier) for one in endpoints]
        self._server = rpc.serve(transport, ConductorInterface, endpoints, conf.host)
        self.engine.start()

    def _version_cap(self, name: str) -> rpc.Cap:
        def lowest() -> int | None:
            with self._cell_db.reader() as session:
                return hosts.lowest_version(session, f'nova-{name}')

        return service.version_cap(self.conf, name, lowest)

    def _host_endpoints(
        self, placement: Placement, compute: ComputeInterface, cell_id: int
    ) -> list[object]:
        conf, api, cell = self.conf, self._api_db, self._cell_db
        aggregates = Aggregates(conf, api, cell, placement)
        self._services = Services(
            conf,
            api,
            cell,
            cell_id,
            placement,
            compute,
            aggregates,
            lambda context, host: self.engine.restart_host(host),
        )
        return [
            Flavors(api),
            Keypairs(conf, api),
            ServerGroups(conf, api),
            aggregates,
            self._services,
            self._heartbeats,
            Hypervisors(conf, api, cell, compute),
            Hosts(conf, api, cell, cell_id),
            HostTableChanges(conf, api, cell, cell_id),
            Quotas(conf, api),
            Usage(conf, cell),
            HostControl(conf, cell, compute),
            ImageCaching(conf, api, cell, compute),
        ]

    def _report(self) -> None:
        self._heartbeats.report_state(ctx.get_admin_context(), self.conf.host, BINARY, [])

    def stop(self) -> None:
        """Answer what has been asked, finish or hand over what is in flight."""
        if self._server is None:
            return
        self._server.stop()
        self._server.wait()
        # The guard of the process waits a little longer than this.
        limit = self.conf.graceful_shutdown_timeout
        self.engine.stop(limit * 0.8 if limit else None)
        self._own.stop()
        self._heartbeats.stop()
        self._notifier.stop()
        self._api_db.close()
        self._cell_db.close()
        self._server = None
