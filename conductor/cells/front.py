"""What is asked of the conductor, taken to the cell or the cells that it is about.

A method that names a server runs in the server's cell, one that names a host in the host's;
``TABLE`` says it of all others.  What is kept in the API database alone is done by cell0's
endpoints.  While there is one cell, everything is its own and nothing is looked up.
"""

import functools
from collections.abc import Callable
from typing import Any

from kilonova.common import exception, rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.operation import ExternalEvent
from kilonova.conductor.cells import host_lists, server_lists
from kilonova.conductor.cells.cell import Cell
from kilonova.conductor.cells.fleet import Fleet
from kilonova.conductor.interface import ConductorInterface

Values = dict[str, Any]
Way = Callable[['Front', str, Ctx, Values], Any]


class Front:
    """Endpoint for all of ConductorInterface on the bus of the cell ``home``."""

    def __init__(self, fleet: Fleet, home: Cell) -> None:
        self.fleet, self.home = fleet, home
        for name, method in rpc.methods_of(ConductorInterface).items():
            way = TABLE.get(name) or _way_of(name, list(method.signature.parameters))
            setattr(self, name, functools.partial(self._run, way, name))

    def _run(self, way: Way, name: str, context: Ctx, /, **values: Any) -> Any:
        if not self.fleet.several:
            return self.home.method(name)(context, **values)
        return way(self, name, context, values)


def _way_of(name: str, arguments: list[str]) -> Way:
    if 'uuid' in arguments:
        return _of_server
    if 'host' in arguments:
        return _of_host
    raise RuntimeError(f'nothing says to which cell {name} goes')


def _global(front: Front, name: str, context: Ctx, values: Values) -> Any:
    return front.fleet.cell0.call(name, context, values)


def _of_server(front: Front, name: str, context: Ctx, values: Values) -> Any:
    uuid = values['uuid']
    cell = front.fleet.of_server(uuid) or front.home
    try:
        return cell.call(name, context, values)
    except exception.InstanceNotFound:
        now = front.fleet.gone_to(uuid, cell)
        if now is None:
            raise
    return now.call(name, context, values)


def _move(front: Front, name: str, context: Ctx, values: Values) -> Any:
    """A host of another cell, named as the destination, is refused for what it is."""
    host = values.get('host')
    if host is not None:
        there, here = front.fleet.of_host(host), front.fleet.of_server(values['uuid'])
        if there is not None and here is not None and there is not here:
            raise exception.Invalid(
                f'Host {host} is in another cell than instance {values["uuid"]}, and instances '
                'are not moved between cells.'
            )
    return _of_server(front, name, context, values)


def _of_host(front: Front, name: str, context: Ctx, values: Values) -> Any:
    """A host that is not mapped has just come up, on the bus of its cell."""
    return (front.fleet.of_host(values['host']) or front.home).call(name, context, values)


def _of_node(front: Front, name: str, context: Ctx, values: Values) -> Any:
    host = values['node'].host
    return (front.fleet.of_host(host) or front.home).call(name, context, values)


def _each(front: Front, name: str, context: Ctx, values: Values) -> None:
    front.fleet.gather(lambda cell: cell.method(name)(context, **values))


def _first(missing: type[exception.KilonovaError]) -> Way:
    """Try the cells, one after the other; ``missing`` says that it is not there."""

    def run(front: Front, name: str, context: Ctx, values: Values) -> Any:
        error: exception.KilonovaError = exception.ServiceUnavailable('No cell answers.')
        for cell in front.fleet.cells:
            try:
                return cell.call(name, context, values)
            except missing as found:
                error = found
            except exception.ServiceUnavailable:
                if not cell.is_down:
                    raise
        raise error

    return run


def _delete_service(front: Front, name: str, context: Ctx, values: Values) -> None:
    service = host_lists.find_service(front.fleet, context, values['service_id'])
    cell, found = service
    cell.call(name, context, values | {'service_id': found.uuid})
    front.fleet.forget_host(found.host)


def _service(front: Front, name: str, context: Ctx, values: Values) -> Any:
    cell, found = host_lists.find_service(front.fleet, context, values['service_id'])
    return cell.call(name, context, values | {'service_id': found.uuid})


def _external_events(front: Front, _name: str, context: Ctx, values: Values) -> list[int]:
    events: list[ExternalEvent] = values['events']
    where = front.fleet.of_servers(event.server_uuid for event in events)
    codes = [404] * len(events)
    for cell in set(where.values()):
        mine = [i for i, event in enumerate(events) if where.get(event.server_uuid) is cell]
        try:
            found = cell.call('external_events', context, {'events': [events[i] for i in mine]})
        except exception.ServiceUnavailable:
            continue  # what cannot be found out about is not there, as in Nova
        for i, code in zip(mine, found, strict=True):
            codes[i] = code
    return codes


def _report_states(front: Front, name: str, context: Ctx, values: Values) -> None:
    """Hosts of one process are mostly, but need not be, of one cell."""
    by_cell: dict[Cell, dict[str, list[str]]] = {}
    for host, running in values['running'].items():
        cell = front.fleet.of_host(host) or front.home
        by_cell.setdefault(cell, {})[host] = running
    for cell, mine in by_cell.items():
        cell.call(name, context, values | {'running': mine})


def _gathered(function: Callable[..., Any]) -> Way:
    return lambda front, _name, context, values: function(front.fleet, context, **values)


TABLE: dict[str, Way] = {
    **dict.fromkeys(
        (
            'create_servers',
            'create_flavor', 'get_flavor', 'list_flavors', 'update_flavor', 'delete_flavor',
            'set_flavor_extra_specs', 'delete_flavor_extra_spec', 'add_flavor_access',
            'remove_flavor_access',
            'create_keypair', 'get_keypair', 'list_keypairs', 'delete_keypair',
            'create_server_group', 'get_server_group', 'list_server_groups',
            'delete_server_group',
            'list_aggregates', 'get_aggregate', 'create_aggregate', 'update_aggregate',
            'delete_aggregate', 'set_aggregate_metadata',
            'get_quotas', 'update_quotas', 'delete_quotas', 'get_quota_class',
            'update_quota_class',
        ),
        _global,
    ),
    'list_servers': _gathered(server_lists.list_servers),
    'get_server': _gathered(server_lists.get_server),
    **dict.fromkeys(('migrate_server', 'live_migrate_server', 'evacuate_server'), _move),
    'list_migrations': _gathered(server_lists.list_migrations),
    'get_usage': _gathered(server_lists.get_usage),
    'get_server_by_port': _first(exception.PortNotFound),
    'get_console_access': _first(exception.TokenNotFound),
    'validate_console_token': _first(exception.TokenNotFound),
    'assist_volume_snapshot': _first(exception.VolumeBDMNotFound),
    'external_events': _external_events,
    'list_services': _gathered(host_lists.list_services),
    'get_service': _service,
    'update_service': _service,
    'delete_service': _delete_service,
    'list_hypervisors': _gathered(host_lists.list_hypervisors),
    'get_hypervisor': _first(exception.ComputeHostNotFound),
    'get_hypervisor_uptime': _first(exception.ComputeHostNotFound),
    'cache_images': _each,
    'get_usage_audit': _gathered(host_lists.get_usage_audit),
    'get_host_table': _gathered(host_lists.get_host_table),
    'get_host_changes': _gathered(host_lists.get_host_changes),
    'discover_hosts': _gathered(host_lists.discover_hosts),
    'report_states': _report_states,
    'explain_servers': _global,
    'update_compute_node': _of_node,
}  # fmt: skip
