"""Create servers."""

import contextlib
from collections.abc import Iterator
from typing import Any

from oslo_utils import strutils

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import Answer, operation
from kilonova.api.policies import ADMIN, PROJECT_MEMBER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import boot_source, create_schema, fields, networks, password
from kilonova.common import exception
from kilonova.common.objects.server import ServerCreate

RULE = 'os_compute_api:servers:create'
FORCED_HOST = SoftRule(f'{RULE}:forced_host', ADMIN, 'Create a server on a forced host.')
DESTINATION = SoftRule(
    'compute:servers:create:requested_destination',
    ADMIN,
    'Create a server on a host or hypervisor that the scheduler checks.',
)
VOLUMES = SoftRule(
    f'{RULE}:attach_volume', PROJECT_MEMBER_OR_ADMIN, 'Create a server with block devices.'
)
NETWORKS = SoftRule(
    f'{RULE}:attach_network', PROJECT_MEMBER_OR_ADMIN, 'Create a server with networks or ports.'
)
CERTIFICATES = SoftRule(
    f'{RULE}:trusted_certs', PROJECT_MEMBER_OR_ADMIN, 'Create a server with trusted certificates.'
)
ZERO_DISK = SoftRule(
    f'{RULE}:zero_disk_flavor', ADMIN, 'Boot an image with a flavor that has no root disk.'
)

# What is not found here is no resource of the URL but a mistake in the body.
_MISTAKES = (
    exception.FlavorNotFound,
    exception.KeypairNotFound,
    exception.InstanceGroupNotFound,
    exception.NetworkNotFound,
    exception.PortNotFound,
    exception.SecurityGroupNotFound,
    exception.HostNotFound,
    exception.ComputeHostNotFound,
    exception.VolumeTypeNotFound,
)

Json = dict[str, Any]


@contextlib.contextmanager
def body_mistakes() -> Iterator[None]:
    """Answer 400 where something that the body names is not there."""
    try:
        yield
    except exception.ImageNotFound as error:
        raise Fault(400, 'Can not find requested image') from error
    except exception.KeypairNotFound as error:
        raise Fault(400, 'Invalid key_name provided.') from error
    except _MISTAKES as error:
        raise Fault(400, error.message) from error


def create(request: Request, body: Json) -> Answer:
    """Create servers."""
    asked: Json = body['server']
    create_request = read(request, body)
    with body_mistakes():
        created = request.conductor.create_servers(request.context, create_request)
    if strutils.bool_from_string(asked.get('return_reservation_id')):
        return Answer({'reservation_id': created.reservation_id})
    return _answer(request, created.uuids[0], create_request)


def read(request: Request, body: Json) -> ServerCreate:
    """Return what a body asks for, looked up as far as the API can."""
    asked: Json = body['server']
    _check_policies(request, asked)
    with body_mistakes():
        return _request(request, asked, _hints(body))


def _answer(request: Request, uuid: str, made: ServerCreate) -> Answer:
    links = params.links(request, 'servers', uuid)
    server: Json = {
        'id': uuid,
        'links': links,
        'OS-DCF:diskConfig': 'AUTO' if made.auto_disk_config else 'MANUAL',
        'security_groups': [{'name': name} for name in made.security_groups],
    }
    if request.conf.api.enable_instance_password:
        server['adminPass'] = made.admin_password
    return Answer({'server': server}, headers=[('Location', links[0]['href'])])


def _check_policies(request: Request, asked: Json) -> None:
    if asked.get('networks'):
        request.can(NETWORKS.name)
    if asked.get('block_device_mapping') or asked.get('block_device_mapping_v2'):
        request.can(VOLUMES.name)
    if asked.get('trusted_image_certificates'):
        request.can(CERTIFICATES.name)
    if 'host' in asked or 'hypervisor_hostname' in asked:
        request.can(DESTINATION.name)


def _request(request: Request, asked: Json, hints: Json) -> ServerCreate:
    """Put together what the conductor gets; looks image and networks up."""
    min_count, max_count = _counts(asked)
    zone, forced_host, forced_node = _placement(request, asked)
    personality = create_schema.personality(asked)
    wanted_networks = networks.read(asked.get('networks'))
    image, devices = boot_source.resolve(request, asked, max_count)
    zone = boot_source.volumes_zone(request, devices, zone)
    found_networks, max_count = networks.resolve(request, wanted_networks, min_count, max_count)
    groups = networks.security_groups(request, asked.get('security_groups'))
    return ServerCreate(
        name=asked['name'].strip(),
        description=_description(request, asked),
        hostname=asked.get('hostname'),
        flavorid=_flavorid(asked['flavorRef']),
        image=image,
        networks=found_networks,
        security_groups=groups,
        key_name=_stripped(asked.get('key_name')),
        user_data=asked.get('user_data'),
        config_drive=strutils.bool_from_string(asked.get('config_drive')),
        personality=personality,
        metadata=asked.get('metadata', {}),
        tags=list(dict.fromkeys(asked.get('tags', []))),
        availability_zone=zone,
        forced_host=forced_host,
        forced_node=forced_node,
        requested_host=asked.get('host'),
        requested_hypervisor_hostname=asked.get('hypervisor_hostname'),
        block_devices=devices,
        scheduler_hints=hints,
        access_ip_v4=asked.get('accessIPv4'),
        access_ip_v6=fields.short_ipv6(asked.get('accessIPv6')),
        auto_disk_config=fields.automatic_disk_at_first(asked, image),
        admin_password=asked.get('adminPass') or password.generate(request.conf.password_length),
        min_count=min_count,
        max_count=max_count,
        trusted_image_certificates=asked.get('trusted_image_certificates'),
        zero_disk_allowed=request.allows(ZERO_DISK.name),
    )


def _stripped(value: str | None) -> str | None:
    return value.strip() if value else None


def _counts(asked: Json) -> tuple[int, int]:
    least = int(asked.get('min_count', 1))
    most = int(asked.get('max_count', least))
    if least > most:
        raise Fault(400, 'min_count must be <= max_count')
    if max(least, most) > 2**31 - 1:
        raise Fault(400, f'Invalid input for max_count: {most}')
    if most > 1 and asked.get('hostname'):
        raise Fault(400, 'Unable to allocate a single hostname to multiple instances')
    return least, most


def _placement(request: Request, asked: Json) -> tuple[str | None, str | None, str | None]:
    """Read ``zone[:host[:node]]``; host and node are for those who may force them."""
    text = _stripped(asked.get('availability_zone')) or request.conf.default_schedule_zone or ''
    parts = text.split(':')
    if len(parts) > 3:
        raise Fault(400, 'Invalid input received: Unable to parse availability_zone')
    zone, host, node = (part or None for part in (*parts, '', '')[:3])
    if host or node:
        request.can(FORCED_HOST.name)
        if 'host' in asked or 'hypervisor_hostname' in asked:
            raise Fault(
                400, "A host in availability_zone excludes 'host' and 'hypervisor_hostname'"
            )
    return zone, host, node


def _description(request: Request, asked: Json) -> str | None:
    if request.version.minor < 19:
        return str(asked['name']).strip()
    return (asked.get('description') or '').strip() or None


def _flavorid(reference: str | int) -> str:
    """Return a flavor's id from an id or from a link to it."""
    return str(reference).rstrip('/').rpartition('/')[2] or str(reference)


def _hints(body: Json) -> Json:
    return next((body[key] for key in create_schema.HINTS if key in body), {})


for _since, _until in create_schema.RANGES:
    operation(
        'POST',
        '/servers',
        since=_since,
        until=_until,
        rule=RULE,
        check=policies.PROJECT_MEMBER_OR_ADMIN,
        soft_rules=(
            FORCED_HOST,
            DESTINATION,
            VOLUMES,
            NETWORKS,
            CERTIFICATES,
            ZERO_DISK,
            networks.EXTERNAL,
        ),
        body=create_schema.body(int(_since.split('.')[1])),
        success=202,
    )(create)
