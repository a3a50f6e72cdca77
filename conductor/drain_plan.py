"""How the servers of a host can leave it, and which cannot."""

from kilonova.common.objects import drain
from kilonova.common.objects.drain import DrainedServer
from kilonova.common.objects.server import Server
from kilonova.conductor import state

LIVE, COLD, EVACUATION = 'live-migration', 'migration', 'evacuation'
RUNNING = (1, 3)
"""Power states of guests that are moved as they run."""


def look(server: Server, is_up: bool, evacuate: bool) -> DrainedServer:
    """Return how a server would be moved now."""
    found = DrainedServer(uuid=server.uuid, name=server.name)
    if server.task_state is not None:
        found.reason = f'It is busy ({server.task_state}).'
    elif not is_up:
        _of_dead_host(server, evacuate, found)
    elif server.vm_state == state.RESIZED:
        _stays(found, 'Its resize has to be confirmed or reverted first.')
    elif server.vm_state in (state.ACTIVE, state.PAUSED) and server.power_state in RUNNING:
        found.how = LIVE
    elif server.vm_state in (state.ACTIVE, state.STOPPED):
        found.how = COLD
    else:
        _stays(found, f'It cannot be moved while it is {server.vm_state}.')
    return found


def _of_dead_host(server: Server, evacuate: bool, found: DrainedServer) -> None:
    if not evacuate:
        _stays(found, 'Its host is down: it can only be evacuated, which was not asked for.')
    elif server.vm_state in (state.ACTIVE, state.STOPPED, state.ERROR):
        found.how = EVACUATION
    else:
        _stays(found, f'It cannot be evacuated while it is {server.vm_state}.')


def _stays(found: DrainedServer, reason: str) -> None:
    found.status, found.reason = drain.STAYS, reason
