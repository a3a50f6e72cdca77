"""What goes to a server's host and back at once: console output, events, power states."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.diagnostics import ServerDiagnostics
from kilonova.common.objects.operation import ExternalEvent
from kilonova.common.objects.server import Server
from kilonova.compute.interface import ComputeInterface
from kilonova.conductor import state
from kilonova.conductor.parts import Parts
from kilonova.db import servers
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)

RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 1, 3, 4, 6, 7
OFF = {SHUTDOWN, CRASHED}
EXTENDED = 'volume-extended'


@retry
def reachable(
    parts: Parts, context: Ctx, uuid: str, key: str, project_id: str | None = None
) -> tuple[Server, ComputeInterface]:
    """Return a server in whose state something may be asked of its host, and the host."""
    with parts.cell_db.reader() as session:
        server = servers.get(session, uuid, project_id)
        state.check(context, server, state.RULES[key])
        assert server.host is not None
        if not parts.is_up(session, server.host):
            raise exception.ServiceUnavailable(
                f'Compute service of {server.host} is unavailable at this time.'
            )
    return server, parts.compute.at(server.host)


class ServerHosts:
    """Endpoint."""

    def __init__(self, parts: Parts, extend: Callable[[Ctx, str, str], bool]) -> None:
        self._parts, self._extend = parts, extend

    def get_console_output(self, context: Ctx, uuid: str, length: int | None) -> str:
        server, host = reachable(self._parts, context, uuid, 'console output')
        return host.get_console_output(context, server, length)

    def get_server_diagnostics(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> ServerDiagnostics:
        server, host = reachable(self._parts, context, uuid, 'diagnostics', project_id)
        return ServerDiagnostics(
            project_id=server.project_id,
            user_id=server.user_id,
            guest=host.get_diagnostics(context, server),
        )

    def external_events(self, context: Ctx, events: list[ExternalEvent]) -> list[int]:
        with self._parts.cell_db.reader() as session:
            known = servers.locate(session, [event.server_uuid for event in events])
        codes: list[int] = []
        by_host: dict[str, list[ExternalEvent]] = defaultdict(list)
        for event in events:
            host = known.get(event.server_uuid)
            if host and event.name == EXTENDED:
                found_it = self._extend(context, event.server_uuid, event.tag or '')
                codes.append(200 if found_it else 404)
                continue
            if host:
                by_host[host].append(event)
            codes.append(200 if host else 422 if event.server_uuid in known else 404)
        for host, found in by_host.items():
            self._parts.compute.at(host).external_events(context, found)
        return codes

    @retry
    def sync_power_states(self, context: Ctx, host: str, states: dict[str, int]) -> list[str]:
        """Correct the records of servers that nothing works on."""
        to_stop: list[str] = []
        with self._parts.cell_db.transaction() as session:
            for uuid, vm_state, task_state, recorded in servers.power_states(session, host):
                actual = states.get(uuid)
                if actual is None or task_state is not None:
                    continue
                values: dict[str, Any] = {}
                if actual != recorded:
                    values['power_state'] = actual
                if vm_state == state.ACTIVE and actual in OFF:
                    LOG.info('Server %s was shut down from inside', uuid)
                    values['vm_state'] = state.STOPPED
                elif _should_stop(vm_state, actual):
                    to_stop.append(uuid)
                if values:
                    servers.update(session, uuid, idle=True, **values)
        return to_stop


def _should_stop(vm_state: str, power_state: int) -> bool:
    if vm_state == state.STOPPED:
        return power_state in (RUNNING, PAUSED, SUSPENDED)
    return vm_state == state.ACTIVE and power_state == SUSPENDED
