"""Daemons: their records, their heartbeats, whether they may get servers."""

import threading
import uuid
from collections.abc import Callable

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy.exc import IntegrityError

from kilonova.common import concurrency, exception
from kilonova.common.clients import placement as placement_client
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import ComputeNode, Service
from kilonova.compute.interface import ComputeInterface
from kilonova.conductor import zones
from kilonova.conductor.aggregates import Aggregates
from kilonova.db import cells, errors, hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.api import HostMapping
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow
from kilonova.db.types import utcnow

LOG = logging.getLogger(__name__)

# How a reason begins that a host has found by itself.
BY_ITSELF = 'AUTO: '
NEW_IS_DISABLED = 'New compute service disabled due to config option.'


class Services:
    """Endpoint.  ``on_started(context, host)`` runs when a compute host has (re)started."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        api_db: Database,
        cell_db: Database,
        cell_id: int,
        placement: placement_client.Placement,
        compute: ComputeInterface,
        aggregates: Aggregates,
        on_started: Callable[[Ctx, str], None] = lambda context, host: None,
    ) -> None:
        self._conf, self._api, self._cell, self._cell_id = conf, api_db, cell_db, cell_id
        self._placement, self._compute, self._aggregates = placement, compute, aggregates
        self._on_started = on_started

    # -- what the API asks

    @retry
    def list_services(
        self,
        context: Ctx,
        host: str | None = None,
        binary: str | None = None,
        disabled: bool | None = None,
        unreachable: bool = False,
    ) -> list[Service]:
        query = sa.select(ServiceRow).order_by(ServiceRow.id)
        if host is not None:
            query = query.where(ServiceRow.host == host)
        if binary is not None:
            query = query.where(ServiceRow.binary == binary)
        if disabled is not None:
            query = query.where(ServiceRow.disabled.is_(disabled))
        with self._cell.reader() as session:
            rows = list(session.scalars(query))
        return zones.complete(self._conf, self._api, rows)

    @retry
    def get_service(self, context: Ctx, service_id: str) -> Service:
        with self._cell.reader() as session:
            row = hosts.find_service(session, service_id)
        return self._complete(row)

    def update_service(
        self,
        context: Ctx,
        service_id: str,
        disabled: bool | None = None,
        disabled_reason: str | None = None,
        forced_down: bool | None = None,
    ) -> Service:
        row = self._update(service_id, disabled, disabled_reason, forced_down)
        service = self._complete(row)
        if disabled is not None and row.binary == hosts.COMPUTE:
            self._tell_host(context, service)
        return service

    @retry
    def _update(
        self,
        service_id: str,
        disabled: bool | None,
        disabled_reason: str | None,
        forced_down: bool | None,
    ) -> ServiceRow:
        with self._cell.transaction() as session:
            row = hosts.find_service(session, service_id, lock=True)
            if disabled is not None:
                row.disabled, row.disabled_reason = disabled, disabled_reason
            if forced_down is not None:
                row.forced_down = forced_down
            hosts.bump(session)
            session.flush()
            return row

    def _tell_host(self, context: Ctx, service: Service) -> None:
        """Have the host change its trait; one that is down does it when it starts."""
        if not service.up:
            LOG.info('Host %s is down; its trait changes when it starts', service.host)
            return
        try:
            self._compute.at(service.host).set_host_enabled(context, not service.disabled)
        except exception.KilonovaError as error:
            LOG.warning('Host %s did not change its trait: %s', service.host, error)

    def delete_service(self, context: Ctx, service_id: str) -> None:
        with self._cell.reader() as session:
            row = hosts.find_service(session, service_id)
            if row.binary == hosts.COMPUTE:
                _check_empty(hosts.count_servers(session, row.host))
                nodes = list(
                    session.scalars(
                        sa.select(ComputeNodeRow.uuid).where(ComputeNodeRow.host == row.host)
                    )
                )
        # The record goes last: until then the deletion can be asked for again.
        if row.binary == hosts.COMPUTE:
            for node in nodes:
                self._delete_provider(node)
            self._aggregates.leave_all(row.host)
            self._unmap(row.host)
        self._delete_records(row)

    def _delete_provider(self, node: str) -> None:
        """Remove a node's tree in placement, leaves first."""
        try:
            tree = self._placement.get_tree(node)
            children: dict[str | None, list[str]] = {}
            for provider in tree:
                children.setdefault(provider.parent_provider_uuid, []).append(provider.uuid)
            order, queue = [], [node]
            while queue:
                order.append(queue.pop())
                queue += children.get(order[-1], [])
            for provider_uuid in reversed(order):
                self._placement.delete_provider(provider_uuid)
        except placement_client.ProviderInUse as error:
            raise exception.Conflict(
                f'Resource provider {node} of the host is still in use: {error}'
            ) from error

    @retry
    def _unmap(self, host: str) -> None:
        with self._api.transaction() as session:
            session.execute(sa.delete(HostMapping).where(HostMapping.host == host))

    @retry
    def _delete_records(self, service: ServiceRow) -> None:
        with self._cell.transaction() as session:
            if service.binary == hosts.COMPUTE:
                _check_empty(hosts.count_servers(session, service.host))
                session.execute(
                    sa.delete(ComputeNodeRow).where(ComputeNodeRow.host == service.host)
                )
            session.execute(sa.delete(ServiceRow).where(ServiceRow.id == service.id))
            hosts.bump(session)

    # -- what daemons report

    def service_started(
        self, context: Ctx, host: str, binary: str, topic: str, version: int
    ) -> Service:
        row = self._register(host, binary, topic, version)
        if binary == hosts.COMPUTE:
            self._map(host)
            concurrency.spawn(self._mirror, host)
            self._on_started(context, host)
        return self._complete(row)

    @retry
    def hypervisor_health(self, context: Ctx, host: str, trouble: str | None) -> Service:
        with self._cell.transaction() as session:
            row = hosts.compute_service(session, host)
            by_itself = row.disabled and (row.disabled_reason or '').startswith(BY_ITSELF)
            if trouble is not None and not row.disabled:
                LOG.warning('Host %s is disabled: %s', host, trouble)
                row.disabled, row.disabled_reason = True, (BY_ITSELF + trouble)[:255]
                hosts.bump(session)
            elif trouble is None and by_itself:
                LOG.info('The hypervisor of host %s is back: it is enabled', host)
                row.disabled, row.disabled_reason = False, None
                hosts.bump(session)
            session.flush()
        return self._complete(row)

    @retry
    def _register(self, host: str, binary: str, topic: str, version: int) -> ServiceRow:
        try:
            with self._cell.transaction() as session:
                row = session.scalars(
                    sa.select(ServiceRow)
                    .where(ServiceRow.host == host, ServiceRow.binary == binary)
                    .with_for_update()
                ).one_or_none()
                if row is None:
                    row = self._new(host, binary)
                    session.add(row)
                row.topic, row.version, row.last_seen_up = topic, version, utcnow()
                if binary == hosts.COMPUTE:
                    hosts.bump(session)
                session.flush()
                return row
        except IntegrityError as error:
            if not errors.is_duplicate(error):
                raise
            # Another worker of the same daemon was quicker.
            with self._cell.reader() as session:
                return session.scalars(
                    sa.select(ServiceRow).where(
                        ServiceRow.host == host, ServiceRow.binary == binary
                    )
                ).one()

    def _new(self, host: str, binary: str) -> ServiceRow:
        closed = binary == hosts.COMPUTE and not self._conf.enable_new_services
        return ServiceRow(
            uuid=str(uuid.uuid4()),
            host=host,
            binary=binary,
            report_count=0,
            disabled=closed,
            disabled_reason=NEW_IS_DISABLED if closed else None,
        )

    @retry
    def _map(self, host: str) -> None:
        """Map the host to this cell, so that nobody has to run ``discover_hosts``."""
        try:
            with self._api.transaction() as session:
                if cells.map_host(session, host, self._cell_id):
                    LOG.info('Compute host %s is mapped to this cell', host)
                    return
                mapped = cells.host_mapping(session, host).cell_id
        except IntegrityError as error:
            if not errors.is_duplicate(error):
                raise
            return
        if mapped != self._cell_id:
            LOG.error('Compute host %s is mapped to another cell (%d)', host, mapped)

    def _mirror(self, host: str) -> None:
        try:
            self._aggregates.mirror_host(host)
        except Exception:
            LOG.exception('Aggregates of host %s could not be mirrored to placement', host)

    @retry
    def update_compute_node(self, context: Ctx, node: ComputeNode) -> ComputeNode:
        with self._cell.transaction() as session:
            row, changed = hosts.store_node(session, node)
            if changed:
                hosts.bump(session)
            return hosts.to_node(row)

    def _complete(self, row: ServiceRow) -> Service:
        return zones.complete(self._conf, self._api, [row])[0]


class Heartbeats:
    """Endpoint for ``report_state``: gathers reports and writes them once a second.

    ``prolong(host, operations)`` extends leases; it is called at once.
    """

    INTERVAL = 1.0

    def __init__(
        self,
        cell_db: Database,
        prolong: Callable[[str, list[str]], None] = lambda host, operations: None,
    ) -> None:
        self._cell, self._prolong = cell_db, prolong
        self._gathered: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._done = threading.Event()
        self._done.set()

    def start(self) -> None:
        """Begin to write."""
        self._stopped.clear()
        self._done.clear()
        concurrency.spawn(self._run)

    def stop(self) -> None:
        """Write what is left and end."""
        self._stopped.set()
        self._done.wait()
        self.flush()

    def report_state(self, context: Ctx, host: str, binary: str, operations: list[str]) -> None:
        with self._lock:
            self._gathered.add((host, binary))
        if operations:
            self._prolong(host, operations)

    def report_states(self, context: Ctx, binary: str, running: dict[str, list[str]]) -> None:
        with self._lock:
            self._gathered |= {(host, binary) for host in running}
        for host, operations in running.items():
            if operations:
                self._prolong(host, operations)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self.INTERVAL):
                try:
                    self.flush()
                except Exception:
                    LOG.exception('Heartbeats could not be written; they are kept')
        finally:
            self._done.set()

    def flush(self) -> None:
        """Write what was gathered, in one statement for up to 500 daemons."""
        with self._lock:
            reports, self._gathered = self._gathered, set()
        if not reports:
            return
        try:
            self._write(sorted(reports))
        except BaseException:
            with self._lock:
                self._gathered |= reports
            raise

    @retry
    def _write(self, reports: list[tuple[str, str]]) -> None:
        with self._cell.transaction() as session:
            hosts.heartbeat(session, reports)


def _check_empty(servers: int) -> None:
    if servers:
        raise exception.Conflict(
            'Unable to delete compute service that is hosting instances. Migrate or delete the '
            'instances first.'
        )
