"""Choosing hosts for servers: an alternate of the last choice, or a new one."""

from collections.abc import Sequence
from typing import Protocol

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import port_requests
from kilonova.conductor.tasks.groups import Groups
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class Wanted(Protocol):
    """What is carried of a choice: the request, and what came of earlier choices."""

    alternates: list[Selection]
    failed: dict[str, str]

    @property
    def spec(self) -> RequestSpec: ...


class Seeking(Protocol):
    """Who needs a host."""

    @property
    def context(self) -> Ctx: ...

    @property
    def server(self) -> Server: ...

    @property
    def payload(self) -> Wanted: ...


class Chooser:
    """Asks the scheduler, and placement for alternates."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._groups = parts, Groups(parts)

    def choose(self, works: Sequence[Seeking]) -> list[list[Selection]]:
        """Return for each server the host that was claimed and the alternates."""
        first = works[0]
        group = first.payload.spec.group
        # An alternate was chosen before other members of a hard group went where they are now.
        if len(works) == 1 and first.payload.alternates and not (group and group.is_hard):
            claimed = self._claim_alternate(first)
            if claimed is not None:
                return [claimed]
        version = self._parts.table_version()
        spec = first.payload.spec
        self._keep_cell(spec)
        spec.ignore_hosts = sorted({*spec.ignore_hosts, *first.payload.failed})
        return self._parts.scheduler.select_destinations(
            first.context,
            self._complete(spec, [work.server for work in works]),
            [work.server.uuid for work in works],
            version,
            self._parts.conf.scheduler.max_attempts - 1,
        )

    def explain(self, context: Ctx, spec: RequestSpec, number: int) -> Explanation:
        """Say what a choice would be."""
        version = self._parts.table_version()
        self._keep_cell(spec)
        return self._parts.scheduler.explain(context, self._complete(spec, []), number, version)

    def _keep_cell(self, spec: RequestSpec) -> None:
        """Let servers that have a cell stay in it."""
        if self._parts.several_cells and not self._parts.is_cell0:
            spec.cell_id = self._parts.cell_id

    def _complete(self, spec: RequestSpec, servers: Sequence[Server]) -> RequestSpec:
        """Add what changes from one look to the next."""
        return port_requests.look(self._parts.neutron, self._groups.look(spec), servers)

    def _claim_alternate(self, work: Seeking) -> list[Selection] | None:
        rest = list(work.payload.alternates)
        server = work.server
        while rest:
            host = rest.pop(0)
            if host.host in work.payload.failed or not self._is_up(host.host):
                continue
            try:
                self._parts.placement.claim(
                    server.uuid, host.allocations, server.project_id, server.user_id
                )
            except exception.Conflict as error:
                LOG.info('Host %s is no alternative for %s: %s', host.host, server.uuid, error)
                continue
            return [host, *rest]
        return None

    @retry
    def _is_up(self, host: str) -> bool:
        with self._parts.cell_db.reader() as session:
            return self._parts.is_up(session, host)
