"""Compute nodes as os-hypervisors shows them."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import concurrency, exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import Hypervisor
from kilonova.compute.interface import ComputeInterface
from kilonova.conductor import zones
from kilonova.db import hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow

LOG = logging.getLogger(__name__)

FEW = 50
"""Up to so many nodes, their servers are asked for by host name."""


class Hypervisors:
    """Endpoint."""

    def __init__(
        self, conf: cfg.ConfigOpts, api_db: Database, cell_db: Database, compute: ComputeInterface
    ) -> None:
        self._conf, self._api, self._cell, self._compute = conf, api_db, cell_db, compute

    def list_hypervisors(
        self,
        context: Ctx,
        with_servers: bool = False,
        limit: int | None = None,
        marker: str | None = None,
        hostname_pattern: str | None = None,
        with_uptime: bool = False,
    ) -> list[Hypervisor]:
        found = self._list(with_servers, limit, marker, hostname_pattern)
        if with_uptime:
            self._ask_uptimes(context, found)
        return found

    @retry
    def _list(
        self,
        with_servers: bool,
        limit: int | None,
        marker: str | None,
        hostname_pattern: str | None,
    ) -> list[Hypervisor]:
        query = node_query()
        if hostname_pattern is not None:
            pattern = hostname_pattern.replace('/', '//').replace('%', '/%').replace('_', '/_')
            query = query.where(ComputeNodeRow.hypervisor_hostname.like(f'%{pattern}%', escape='/'))
        with self._cell.reader() as session:
            if marker is not None:
                query = query.where(ComputeNodeRow.id > _marker(session, marker))
            if limit is not None:
                query = query.limit(limit)
            return self._complete(session, session.execute(query).all(), with_servers)

    def get_hypervisor(
        self, context: Ctx, node_id: str, with_servers: bool = False, with_uptime: bool = False
    ) -> Hypervisor:
        found = self._get(node_id, with_servers)
        if with_uptime:
            self._ask_uptimes(context, [found])
        return found

    def get_hypervisor_uptime(self, context: Ctx, node_id: str) -> Hypervisor:
        found = self._get(node_id)
        if not found.service.up:
            raise exception.ComputeServiceUnavailable(host=found.node.host)
        found.uptime = self._compute.at(found.node.host).get_host_uptime(context)
        return found

    @retry
    def _get(self, node_id: str, with_servers: bool = False) -> Hypervisor:
        with self._cell.reader() as session:
            found = session.execute(node_query().where(_by_id(node_id))).all()
            if not found:
                raise exception.ComputeHostNotFound(host=node_id)
            return self._complete(session, found, with_servers)[0]

    def _ask_uptimes(self, context: Ctx, found: Iterable[Hypervisor]) -> None:
        def ask(one: Hypervisor) -> None:
            try:
                one.uptime = self._compute.at(one.node.host).get_host_uptime(context)
            except (exception.NotSupported, exception.ServiceUnavailable) as error:
                LOG.info('Host %s does not say how long it is up: %s', one.node.host, error)

        asked = [concurrency.spawn(ask, one) for one in found if one.service.up]
        for answer in asked:
            answer.result()

    def _complete(
        self, session: Session, rows: Iterable[Any], with_servers: bool
    ) -> list[Hypervisor]:
        found = [(node, service) for node, service in rows]
        names = {node.host for node, _ in found} if len(found) <= FEW else None
        used = hosts.usage(session, names)
        there = hosts.servers_on(session, names) if with_servers else {}
        services = zones.complete(self._conf, self._api, [service for _, service in found])
        return [
            Hypervisor(
                node=hosts.to_node(node, used.get(key, hosts.NOTHING)),
                service=service,
                servers=[(uuid, name) for uuid, name, _ in there.get(key, ())]
                if with_servers
                else None,
            )
            for (node, _), service in zip(found, services, strict=True)
            for key in [(node.host, node.hypervisor_hostname)]
        ]


def node_query() -> Any:
    """Return the query for all nodes with their services, by id."""
    return (
        sa.select(ComputeNodeRow, ServiceRow)
        .join(
            ServiceRow,
            sa.and_(ServiceRow.host == ComputeNodeRow.host, ServiceRow.binary == hosts.COMPUTE),
        )
        .order_by(ComputeNodeRow.id)
    )


def _by_id(node_id: str) -> sa.ColumnElement[bool]:
    if node_id.isascii() and node_id.isdecimal() and len(node_id) < 10:
        return ComputeNodeRow.id == int(node_id)
    return ComputeNodeRow.uuid == node_id


def _marker(session: Session, marker: str) -> int:
    found = session.scalar(sa.select(ComputeNodeRow.id).where(_by_id(marker)))
    if found is None:
        raise exception.MarkerNotFound(marker=marker)
    return found
