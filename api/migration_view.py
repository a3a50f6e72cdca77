"""Moves as JSON."""

import datetime
from collections.abc import Callable
from typing import Any

from kilonova.api import params
from kilonova.api.request import Request
from kilonova.common.objects.migration import Migration

Json = dict[str, Any]
HOSTS = ('source_compute', 'source_node', 'dest_compute', 'dest_node', 'dest_host')
AMOUNTS = ('total', 'processed', 'remaining')
LINKED = ('queued', 'preparing', 'running', 'post-migrating')


def _time(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec='microseconds')


def _common(one: Migration, minor: int, with_hosts: bool) -> Json:
    shown: Json = {'id': one.id, 'status': one.status}
    shown |= {name: getattr(one, name) if with_hosts else None for name in HOSTS}
    shown |= {'created_at': _time(one.created_at), 'updated_at': _time(one.updated_at)}
    if minor >= 59:
        shown['uuid'] = one.uuid
    if minor >= 80:
        shown |= {'user_id': one.user_id, 'project_id': one.project_id}
    return shown


def renderer(request: Request, with_hosts: bool) -> Callable[[Migration], Json]:
    """Return what shows moves of ``GET /os-migrations``."""
    minor = request.version.minor

    def render(one: Migration) -> Json:
        shown = _common(one, minor, with_hosts) | {
            'instance_uuid': one.instance_uuid,
            'old_instance_type_id': one.old_instance_type_id,
            'new_instance_type_id': one.new_instance_type_id,
        }
        if minor >= 23:
            shown['migration_type'] = one.migration_type
            if one.migration_type == 'live-migration' and one.status in LINKED:
                path = f'servers/{one.instance_uuid}/migrations'
                shown['links'] = params.links(request, path, str(one.id))
        return shown

    return render


def live(request: Request, one: Migration, with_hosts: bool = True) -> Json:
    """Show a live migration that goes on, with how far it is."""
    shown = _common(one, request.version.minor, with_hosts) | {'server_uuid': one.instance_uuid}
    for kind in ('memory', 'disk'):
        for amount in AMOUNTS:
            shown[f'{kind}_{amount}_bytes'] = getattr(one, f'{kind}_{amount}')
    return shown
