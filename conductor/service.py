"""The conductor daemon: its endpoints, put together."""

import oslo_messaging as messaging
import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import config, exception, rpc, service, version
from kilonova.common import context as ctx
from kilonova.common.clients import keystone
from kilonova.common.clients.placement import Placement
from kilonova.common.notifications import config as notifications_config
from kilonova.common.notifications.notifier import Notifier
from kilonova.conductor import config as conductor_config
from kilonova.conductor.aggregates import Aggregates
from kilonova.conductor.cells.cell import Cell, Shared
from kilonova.conductor.cells.fleet import Fleet
from kilonova.conductor.cells.front import Front
from kilonova.conductor.drains import Drains
from kilonova.conductor.flavors import Flavors
from kilonova.conductor.host_changes import HostTableChanges
from kilonova.conductor.host_control import HostControl
from kilonova.conductor.host_discovery import HostDiscovery
from kilonova.conductor.host_table import Hosts
from kilonova.conductor.hypervisors import Hypervisors
from kilonova.conductor.image_caching import ImageCaching
from kilonova.conductor.interface import ConductorInterface
from kilonova.conductor.keypairs import Keypairs
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
from kilonova.conductor.volume_usage import VolumeUsages
from kilonova.db import cells
from kilonova.db import config as db_config
from kilonova.db.engine import Database

BINARY = 'nova-conductor'


def list_opts() -> config.Opts:
    """Return the options of all that runs in this daemon."""
    return [
        *conductor_config.list_opts(),
        *db_config.list_opts(),
        *notifications_config.list_opts(),
    ]


def host_endpoints(parts: Parts, engine: Engine, heartbeats: Heartbeats) -> list[object]:
    """Return the endpoints for what is no server."""
    conf, api, cell, compute = parts.conf, parts.api_db, parts.cell_db, parts.compute
    assert isinstance(parts.placement, Placement) and parts.cell_id is not None
    aggregates = Aggregates(conf, api, cell, parts.placement, parts.ask)
    services = Services(
        conf,
        api,
        cell,
        parts.cell_id,
        parts.placement,
        compute,
        aggregates,
        lambda context, host: engine.restart_host(host),
    )
    return [
        Flavors(api),
        Keypairs(conf, api),
        ServerGroups(conf, api),
        aggregates,
        services,
        heartbeats,
        Hypervisors(conf, api, cell, compute),
        Hosts(conf, api, cell, parts.cell_id),
        HostTableChanges(conf, api, cell, parts.cell_id),
        HostDiscovery(api, cell, parts.cell_id),
        Quotas(conf, api),
        Usage(conf, cell, parts.notifier),
        VolumeUsages(cell, parts.notifier),
        HostControl(conf, cell, compute),
        ImageCaching(conf, api, cell, compute, notifier=parts.notifier),
    ]


def server_endpoints(parts: Parts, engine: Engine) -> list[object]:
    """Return the endpoints for servers, with their operations known to the engine."""
    debts, mover = Debts(parts), Mover(parts)
    build, delete = Build(parts, engine), Delete(parts, engine, debts)
    engine.superseding.append(debts.close)
    engine.chores += [Bookings(parts).sweep, Sizes(parts).sweep, debts.sweep]
    volumes = ServerVolumes(parts, engine)
    resizes, lives = ResizeServers(parts, engine, mover), LiveMigrations(parts, engine, mover)
    evacuation = Evacuation(parts, engine, mover)
    drains = Drains(parts, resizes, lives, evacuation)
    engine.chores.append(drains.sweep)
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
        resizes,
        lives,
        evacuation,
        drains,
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


def _all_endpoints(parts: Parts, engine: Engine, heartbeats: Heartbeats) -> list[object]:
    return [*host_endpoints(parts, engine, heartbeats), *server_endpoints(parts, engine)]


def _wait(database: Database, table: str, command: str) -> None:
    try:
        database.wait()
        found = sa.inspect(database.engine).has_table(table)
    except sa.exc.DBAPIError as error:
        raise exception.KilonovaError(f'A database does not answer: {error.orig}') from error
    if not found:
        raise exception.KilonovaError(f'A database has no tables: run "{command}".')


class Conductor:
    """One conductor process: it serves all cells."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
        config.register(list_opts(), conf)
        self.conf, self._transport = conf, transport
        self._api_db = _database(conf, 'api_database')
        self._cell_db = _database(conf, 'database')
        self._servers: list[messaging.RPCServer] = []

    def start(self) -> None:
        """Serve as soon as both databases answer.  Raises CellMappingNotFound."""
        _wait(self._api_db, 'cell_mappings', 'nova-manage api_db sync')
        _wait(self._cell_db, 'services', 'nova-manage db sync')
        conf = self.conf
        self._notifier = Notifier(conf)
        if self._notifier.is_on:
            self._notifier.start()
        shared = Shared(
            conf=conf,
            api_db=self._api_db,
            transport=self._transport,
            placement=Placement(keystone.adapter(conf, 'placement')),
            notifier=self._notifier,
            make_endpoints=_all_endpoints,
        )
        mapping = cells.ensure_simple(self._api_db, conf)
        self.fleet = Fleet(shared, mapping, self._cell_db, self._listen)
        self.engine = self.fleet.own.engine
        self.fleet.own.services.service_started(
            ctx.get_admin_context(), conf.host, BINARY, 'conductor', version.SERVICE_VERSION
        )
        self.fleet.own.start()
        self.fleet.refresh()
        self._own = service.Heartbeat(conf.report_interval, self._report)
        self._own.start()
        self._serve(self._transport, self.fleet.own)

    def _listen(self, cell: Cell) -> None:
        """Answer on a cell's bus when it has one of its own: who speaks there is of the cell."""
        if cell.transport is not self._transport:
            self._serve(cell.transport, cell)

    def _serve(self, transport: messaging.Transport, home: Cell) -> None:
        front = Front(self.fleet, home)
        self._servers.append(rpc.serve(transport, ConductorInterface, [front], self.conf.host))

    def _report(self) -> None:
        own = self.fleet.own.heartbeats
        own.report_state(ctx.get_admin_context(), self.conf.host, BINARY, [])
        self.fleet.refresh()

    def stop(self) -> None:
        """Answer what has been asked, finish or hand over what is in flight."""
        if not self._servers:
            return
        for server in self._servers:
            server.stop()
            server.wait()
        self._servers = []
        self._own.stop()
        # The guard of the process waits a little longer than this.
        limit = self.conf.graceful_shutdown_timeout
        self.fleet.stop(limit * 0.8 if limit else None)
        self._notifier.stop()
        self._api_db.close()
