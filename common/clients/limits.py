"""Keystone's unified limits: what operators allow of our resources, to all and to each project.

``[oslo_limit]`` says how to speak to Keystone and which endpoint's limits are ours.
"""

import threading
import urllib.parse
from typing import Any, NamedTuple

from keystoneauth1 import adapter as ks_adapter
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.clients import keystone

GROUP = 'oslo_limit'
Json = dict[str, Any]

_ours: dict[int, tuple[cfg.ConfigOpts, dict[str, str]]] = {}
_lock = threading.Lock()


def registered(conf: cfg.ConfigOpts) -> dict[str, int]:
    """Return what any project may have, by resource name."""
    found = _list(conf, 'registered_limits', {})
    return {one['resource_name']: one['default_limit'] for one in found}


class Level(NamedTuple):
    """What some projects may have together; ``projects`` begins with the one whose limit it is."""

    projects: list[str]
    limits: dict[str, int]


def of_project(conf: cfg.ConfigOpts, project_id: str) -> dict[str, int]:
    """Return what the project may have, by resource name: its own limits before the common ones."""
    return registered(conf) | _own(conf, 'project_id', project_id)


def levels(conf: cfg.ConfigOpts, project_id: str) -> list[Level]:
    """Return all that limits a project, by Keystone's enforcement model.

    ``flat``: the project alone.  ``strict_two_level``: its parent, too, whose limits hold for
    what the parent and all its children take.
    """
    common = registered(conf)
    found = [Level([project_id], common | _own(conf, 'project_id', project_id))]
    client = keystone.adapter(conf, GROUP)
    known = _get(client, '/limits/model', 'model', dict[str, str])
    model = known.get('name', '').replace('-', '_')
    if model == 'strict_two_level':
        parent = _parent(conf, client, project_id, common)
        return [parent, *found] if parent is not None else found
    if model != 'flat':
        raise exception.FellowServiceError(
            service='identity', reason=f'enforcement model {model} is not supported'
        )
    return found


def _parent(
    conf: cfg.ConfigOpts, client: ks_adapter.Adapter, project_id: str, common: dict[str, int]
) -> Level | None:
    """Return the level above a project; of a project with children it is that project's own."""
    project = _get(client, f'/projects/{project_id}', 'project', keystone.Json)
    above = project.get('parent_id')
    top = above is None or above == project.get('domain_id')
    # Below a domain that limits nothing itself, the tree is that of the project.
    own = _own(conf, 'domain_id', above) if top and above else {}
    parent = project_id if top and not own else above
    query = urllib.parse.urlencode({'parent_id': parent})
    children = [one['id'] for one in _get(client, f'/projects?{query}', 'projects')]
    if top and not own and not children:
        return None
    limits = common | (own if top else _own(conf, 'project_id', above))
    if parent == project_id:
        limits = common | _own(conf, 'project_id', project_id)
    return Level([parent, *children], limits)


def _own(conf: cfg.ConfigOpts, kind: str, whose: str) -> dict[str, int]:
    own = _list(conf, 'limits', {kind: whose})
    return {one['resource_name']: one['resource_limit'] for one in own if one.get(kind) == whose}


def forget() -> None:
    """Look our endpoint up anew when it is next needed (the configuration has changed)."""
    with _lock:
        _ours.clear()


def _list(conf: cfg.ConfigOpts, collection: str, filters: dict[str, str]) -> list[Json]:
    client = keystone.adapter(conf, GROUP)
    query = urllib.parse.urlencode({**_our_service(conf, client), **filters})
    return _get(client, f'/{collection}?{query}', collection)


def _our_service(conf: cfg.ConfigOpts, client: ks_adapter.Adapter) -> dict[str, str]:
    """Return the service and region that our limits are registered for."""
    with _lock:
        known = _ours.get(id(conf))
    if known is not None and known[0] is conf:
        return known[1]
    endpoint = _our_endpoint(conf, client)
    found = {'service_id': endpoint['service_id']}
    if endpoint.get('region_id'):
        found['region_id'] = endpoint['region_id']
    with _lock:
        _ours[id(conf)] = (conf, found)
    return found


def _our_endpoint(conf: cfg.ConfigOpts, client: ks_adapter.Adapter) -> Json:
    section = conf[GROUP]
    if section.endpoint_id:
        found: Json = _get(client, f'/endpoints/{section.endpoint_id}', 'endpoint', keystone.Json)
        return found
    services = _get(client, '/services?' + _filters(
        type=section.endpoint_service_type, name=section.endpoint_service_name), 'services')  # fmt: skip
    _check_one(services, 'services')
    endpoints = _get(client, '/endpoints?' + _filters(
        service_id=services[0]['id'], interface=section.endpoint_interface,
        region_id=section.endpoint_region_name), 'endpoints')  # fmt: skip
    _check_one(endpoints, 'endpoints')
    return dict(endpoints[0])


def _filters(**values: str | None) -> str:
    return urllib.parse.urlencode({name: value for name, value in values.items() if value})


def _check_one(found: list[Json], what: str) -> None:
    if len(found) != 1:
        raise exception.FellowServiceError(
            service='identity', reason=f'[{GROUP}] fits {len(found)} {what}, not one'
        )


def _get(client: ks_adapter.Adapter, path: str, key: str, kind: Any = keystone.Jsons) -> Any:
    response = keystone.request(client, 'GET', keystone.identity_path(client, path))
    if response.status_code != 200:
        raise exception.FellowServiceError(
            service='identity', reason=f'HTTP {response.status_code} for {path.split("?")[0]}'
        )
    return keystone.content(client, response, key, kind)
