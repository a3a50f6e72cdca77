"""Servers as JSON.

One table says in which microversions a field is shown and to whom; ``renderer`` picks
the rows once a request, so that a list of a thousand servers asks nothing twice.
"""

import dataclasses
import datetime
import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from kilonova.api import params
from kilonova.api.policies import ADMIN, PROJECT_READER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import status
from kilonova.common import naming
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server

EXTENDED = 'os_compute_api:os-extended-server-attributes'
EXTRA_SPECS = 'os_compute_api:servers:show:flavor-extra-specs'
HOST_STATUS = 'os_compute_api:servers:show:host_status'
HOST_STATUS_UNKNOWN = 'os_compute_api:servers:show:host_status:unknown-only'

RULES = (
    SoftRule(EXTENDED, ADMIN, 'Show host, hypervisor and other attributes for operators.'),
    SoftRule(
        EXTRA_SPECS,
        PROJECT_READER_OR_ADMIN,
        "Show the extra specs of a server's flavor.",
        ('os_compute_api:os-flavor-extra-specs:index', 'rule:admin_or_owner'),
    ),
    SoftRule(HOST_STATUS, ADMIN, "Show the status of a server's host."),
    SoftRule(
        HOST_STATUS_UNKNOWN, ADMIN, "Show the status of a server's host only when it is unknown."
    ),
)

Json = dict[str, Any]
Renderer = Callable[[Server], Json]

NEWEST = 10**6
# Statuses in which the progress of the work is shown, and those with a fault.
_PROGRESS = frozenset(('ACTIVE', 'BUILD', 'REBUILD', 'RESIZE', 'VERIFY_RESIZE', 'MIGRATING'))
_FAULTY = frozenset(('ERROR', 'DELETED'))
_OMIT: Any = object()
PROPERTY_LENGTH = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """What is the same for all servers of an answer."""

    url: str
    bookmark: str
    flavor_bookmark: str
    image_bookmark: str
    name_template: str
    extra_specs: bool
    extended: bool
    host_status: bool
    host_status_unknown: bool
    is_admin: bool
    with_address_types: bool


def scene(request: Request, *, full: bool = True) -> Scene:
    """Look up what the request's policy and configuration say."""
    minor = request.version.minor
    base = params.unversioned(request)
    return Scene(
        url=params.versioned(request) + '/servers/',
        bookmark=base + '/servers/',
        flavor_bookmark=base + '/flavors/',
        image_bookmark=_image_base(request, base) + '/images/',
        name_template=request.conf.instance_name_template,
        extra_specs=minor >= 47 and request.allows(EXTRA_SPECS),
        extended=full and request.allows(EXTENDED),
        host_status=full and minor >= 16 and request.allows(HOST_STATUS),
        host_status_unknown=full and minor >= 16 and request.allows(HOST_STATUS_UNKNOWN),
        is_admin=bool(request.context.is_admin),
        with_address_types=full,
    )


def _image_base(request: Request, base: str) -> str:
    prefix: str | None = request.conf.api.glance_link_prefix
    if not prefix:
        return base
    project = f'/{request.context.project_id}' if request.project_in_path else ''
    return prefix.rstrip('/') + project


def _isotime(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec='seconds') + 'Z'


def _precise(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec='microseconds')


@functools.lru_cache(maxsize=4096)
def host_id(project_id: str, host: str | None) -> str:
    """Return what tells a project's hosts apart without naming them."""
    return hashlib.sha224((project_id + host).encode()).hexdigest() if host else ''


def _status(server: Server) -> str:
    return status.of(server.vm_state, server.task_state)


def links(server: Server, scene: Scene) -> list[Json]:
    return [
        {'rel': 'self', 'href': scene.url + server.uuid},
        {'rel': 'bookmark', 'href': scene.bookmark + server.uuid},
    ]


def _image(server: Server, scene: Scene) -> Any:
    image_id = server.image.id
    if not image_id:
        return ''
    href = scene.image_bookmark + image_id
    return {'id': image_id, 'links': [{'rel': 'bookmark', 'href': href}]}


def _image_with_properties(server: Server, scene: Scene) -> Any:
    shown = _image(server, scene)
    if shown:
        shown['properties'] = {
            name: None if value is None else str(value)[:PROPERTY_LENGTH]
            for name, value in server.image.properties.items()
        }
    return shown


def _flavor_link(server: Server, scene: Scene) -> Json:
    flavorid = server.flavor.flavorid
    href = scene.flavor_bookmark + flavorid
    return {'id': flavorid, 'links': [{'rel': 'bookmark', 'href': href}]}


def _flavor(server: Server, scene: Scene) -> Json:
    flavor = server.flavor
    shown: Json = {
        'vcpus': flavor.vcpus,
        'ram': flavor.memory_mb,
        'disk': flavor.root_gb,
        'ephemeral': flavor.ephemeral_gb,
        'swap': flavor.swap,
        'original_name': flavor.name,
    }
    if scene.extra_specs:
        shown['extra_specs'] = flavor.extra_specs
    return shown


def _address(addr: str, version: int, kind: str, vif: VIF, types: bool) -> Json:
    if not types:
        return {'version': version, 'addr': addr}
    return {
        'version': version,
        'addr': addr,
        'OS-EXT-IPS:type': kind,
        'OS-EXT-IPS-MAC:mac_addr': vif.address,
    }


def addresses(server: Server, types: bool) -> dict[str, list[Json]]:
    """Return addresses by network name: a network's fixed ones first, then the floating ones."""
    fixed: dict[str, list[Json]] = {}
    floating: dict[str, list[Json]] = {}
    for vif in server.network_info:
        own = fixed.setdefault(vif.label, [])
        for ip in vif.fixed_ips:
            own.append(_address(ip.address, ip.version, 'fixed', vif, types))
            for addr in ip.floating_ips:
                version = 6 if ':' in addr else 4
                shown = _address(addr, version, 'floating', vif, types)
                floating.setdefault(vif.label, []).append(shown)
    for label, shown_ips in floating.items():
        fixed[label] += shown_ips
    return fixed


def _addresses(server: Server, scene: Scene) -> dict[str, list[Json]]:
    return addresses(server, scene.with_address_types)


def _progress(server: Server, _scene: Scene) -> Any:
    return server.progress if _status(server) in _PROGRESS else _OMIT


def _fault(server: Server, scene: Scene) -> Any:
    fault = server.fault
    if fault is None or _status(server) not in _FAULTY:
        return _OMIT
    shown = {
        'code': fault.code,
        'created': _isotime(fault.created_at),
        'message': fault.message,
    }
    if fault.details and (scene.is_admin or fault.code != 500):
        shown['details'] = fault.details
    return shown


def _host_status(server: Server, scene: Scene) -> Any:
    if scene.host_status:
        return server.host_status or ''
    if scene.host_status_unknown and server.host_status == status.UNKNOWN:
        return server.host_status
    return _OMIT


def _security_groups(server: Server, _scene: Scene) -> Any:
    """Groups are those of ports: who has none is in none."""
    groups = server.security_groups if server.network_info else ()
    return [{'name': name} for name in groups] or _OMIT


def _volumes(server: Server) -> list[tuple[str, bool]]:
    return [(d.volume_id, d.delete_on_termination) for d in server.block_devices if d.volume_id]


def _volume_ids(server: Server, _scene: Scene) -> list[Json]:
    return [{'id': volume} for volume, _ in _volumes(server)]


def _volumes_attached(server: Server, _scene: Scene) -> list[Json]:
    return [{'id': volume, 'delete_on_termination': gone} for volume, gone in _volumes(server)]


class Field(NamedTuple):
    """One row: ``basic`` fields are also in the short answer of PUT before 2.75."""

    name: str
    render: Callable[[Server, Scene], Any]
    since: int = 1
    until: int = NEWEST
    basic: bool = False
    if_: Callable[[Scene], bool] | None = None
    in_list: bool = True


def _extended(scene: Scene) -> bool:
    return scene.extended


def _shows_host_status(scene: Scene) -> bool:
    return scene.host_status or scene.host_status_unknown


FIELDS = (
    Field('id', lambda s, _: s.uuid, basic=True),
    Field('name', lambda s, _: s.name, basic=True),
    Field('status', lambda s, _: _status(s), basic=True),
    Field('tenant_id', lambda s, _: s.project_id, basic=True),
    Field('user_id', lambda s, _: s.user_id, basic=True),
    Field('metadata', lambda s, _: s.metadata, basic=True),
    Field('hostId', lambda s, _: host_id(s.project_id, s.host), basic=True),
    Field('image', _image, until=97, basic=True),
    Field('image', _image_with_properties, since=98, basic=True),
    Field('flavor', _flavor_link, until=46, basic=True),
    Field('flavor', _flavor, since=47, basic=True),
    Field('created', lambda s, _: _isotime(s.created_at), basic=True),
    Field('updated', lambda s, _: _isotime(s.updated_at or s.created_at), basic=True),
    Field('addresses', _addresses, basic=True),
    Field('accessIPv4', lambda s, _: s.access_ip_v4 or '', basic=True),
    Field('accessIPv6', lambda s, _: s.access_ip_v6 or '', basic=True),
    Field('links', links, basic=True),
    Field('OS-DCF:diskConfig', lambda s, _: 'AUTO' if s.auto_disk_config else 'MANUAL', basic=True),
    Field('progress', _progress, basic=True),
    Field('fault', _fault, basic=True),
    Field(
        'OS-EXT-AZ:availability_zone', lambda s, _: s.availability_zone or s.requested_zone or ''
    ),
    Field('config_drive', lambda s, _: 'True' if s.config_drive else ''),
    Field('key_name', lambda s, _: s.key_name),
    Field('OS-SRV-USG:launched_at', lambda s, _: _precise(s.launched_at)),
    Field('OS-SRV-USG:terminated_at', lambda s, _: _precise(s.terminated_at)),
    Field('OS-EXT-SRV-ATTR:host', lambda s, _: s.host, if_=_extended),
    Field(
        'OS-EXT-SRV-ATTR:instance_name',
        lambda s, scene: naming.instance_name(scene.name_template, s),
        if_=_extended,
    ),
    Field('OS-EXT-SRV-ATTR:hypervisor_hostname', lambda s, _: s.node, if_=_extended),
    Field('OS-EXT-SRV-ATTR:reservation_id', lambda s, _: s.reservation_id, 3, if_=_extended),
    Field('OS-EXT-SRV-ATTR:launch_index', lambda s, _: s.launch_index, 3, if_=_extended),
    Field('OS-EXT-SRV-ATTR:hostname', lambda s, _: s.hostname or '', 3, 89, if_=_extended),
    Field('OS-EXT-SRV-ATTR:hostname', lambda s, _: s.hostname or '', 90),
    Field('OS-EXT-SRV-ATTR:kernel_id', lambda s, _: s.kernel_id or '', 3, if_=_extended),
    Field('OS-EXT-SRV-ATTR:ramdisk_id', lambda s, _: s.ramdisk_id or '', 3, if_=_extended),
    Field('OS-EXT-SRV-ATTR:root_device_name', lambda s, _: s.root_device_name, 3, if_=_extended),
    Field('OS-EXT-SRV-ATTR:user_data', lambda s, _: s.user_data, 3, if_=_extended),
    Field('OS-EXT-STS:task_state', lambda s, _: s.task_state),
    Field('OS-EXT-STS:vm_state', lambda s, _: s.vm_state),
    Field('OS-EXT-STS:power_state', lambda s, _: s.power_state),
    Field('os-extended-volumes:volumes_attached', _volume_ids, until=2),
    Field('os-extended-volumes:volumes_attached', _volumes_attached, since=3),
    Field('security_groups', _security_groups),
    Field('locked', lambda s, _: s.locked, 9, basic=True),
    Field('host_status', _host_status, 16, if_=_shows_host_status),
    Field('description', lambda s, _: s.description, 19, basic=True),
    Field('tags', lambda s, _: s.tags, 26, basic=True),
    Field('trusted_image_certificates', lambda s, _: s.trusted_image_certificates, 63, basic=True),
    Field('server_groups', lambda s, _: s.server_groups, 71, basic=True, in_list=False),
    Field('locked_reason', lambda s, _: s.locked_reason, 73, basic=True),
    Field('pinned_availability_zone', lambda s, _: s.requested_zone, 96),
    Field('scheduler_hints', lambda s, _: s.scheduler_hints, 100),
)


def renderer(request: Request, kind: str = 'show') -> Renderer:
    """Return what turns servers into JSON; ``kind`` is 'show', 'detail' or 'update'."""
    minor = request.version.minor
    full = kind != 'update' or minor >= 75
    about = scene(request, full=full)
    rows = [
        (field.name, field.render)
        for field in FIELDS
        if field.since <= minor <= field.until
        and (full or field.basic)
        and (field.in_list or kind != 'detail')
        and (field.if_ is None or field.if_(about))
    ]

    def render(server: Server) -> Json:
        if server.unreachable:
            found = unreachable(server, about)
            return found if kind == 'detail' else found | _of_request(server, about, minor)
        shown = {}
        for name, field in rows:
            value = field(server, about)
            if value is not _OMIT:
                shown[name] = value
        return shown

    return render


def unreachable(server: Server, scene: Scene, *, detail: bool = True) -> Json:
    """Return what lists show of a server whose cell is down."""
    shown: Json = {'id': server.uuid, 'status': status.UNKNOWN, 'links': links(server, scene)}
    if detail:
        shown |= {'tenant_id': server.project_id, 'created': _isotime(server.created_at)}
    return shown


def _of_request(server: Server, scene: Scene, minor: int) -> Json:
    """Return what is known of such a server by what was asked for."""
    shown: Json = {
        'user_id': server.user_id,
        'image': _image(server, scene),
        'flavor': _flavor(server, scene),
        'OS-EXT-AZ:availability_zone': server.availability_zone or status.UNKNOWN,
        'OS-EXT-STS:power_state': 0,
    }
    return shown | ({'server_groups': server.server_groups} if minor >= 71 else {})


def wants_host_status(request: Request) -> bool:
    """Tell whether the answer needs the state of the servers' hosts."""
    return request.version.minor >= 16 and (
        request.allows(HOST_STATUS) or request.allows(HOST_STATUS_UNKNOWN)
    )
