"""The body of ``POST /servers``: one table of fields with their versions."""

import copy
from typing import Any

from kilonova.api import params
from kilonova.api.faults import Fault
from kilonova.api.servers import fields, tags
from kilonova.api.servers.view import NEWEST

Schema = params.Schema

_COUNT: Schema = params.POSITIVE
_DEVICE_NAME: Schema = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 255,
    'pattern': '^[a-zA-Z0-9._/-]*$',
}
_SHORT: Schema = {'type': 'string', 'maxLength': 255}

_VOLUME: Schema = {
    'virtual_name': _SHORT,
    'volume_id': params.UUID,
    'snapshot_id': params.UUID,
    'volume_size': {
        'type': ['integer', 'string'],
        'pattern': '^[0-9]+$',
        'minimum': 1,
        'maximum': 2**31 - 1,
    },
    'device_name': _DEVICE_NAME,
    'delete_on_termination': params.BOOLEAN,
    'no_device': {},
    'connection_info': {'type': 'string', 'maxLength': 2**24 - 1},
}
_DEVICE: Schema = {
    **_VOLUME,
    'source_type': {'type': 'string', 'enum': ['volume', 'image', 'snapshot', 'blank']},
    'uuid': {'type': 'string', 'minLength': 1, 'maxLength': 255, 'pattern': '^[a-zA-Z0-9._-]*$'},
    'image_id': params.UUID,
    'destination_type': {'type': 'string', 'enum': ['local', 'volume']},
    'guest_format': _SHORT,
    'device_type': _SHORT,
    'disk_bus': _SHORT,
    'boot_index': {'type': ['integer', 'string', 'null'], 'pattern': '^-?[0-9]+$'},
}


def _devices(minor: int) -> Schema:
    device = dict(_DEVICE)
    # The tag was lost by mistake for a while.
    if minor == 32 or minor >= 42:
        device['tag'] = tags.TAG
    if minor >= 67:
        device['volume_type'] = {'type': ['string', 'null'], 'maxLength': 255}
    return params.array(params.obj(device))


def _networks(minor: int) -> Schema:
    network: Schema = {
        'fixed_ip': fields.IP,
        'port': {'type': ['string', 'null'], 'format': 'uuid'},
        'uuid': params.UUID if minor >= 37 else params.STRING,
    }
    if 32 <= minor <= 36 or minor >= 42:
        network['tag'] = tags.TAG
    entries = params.array(params.obj(network))
    if minor < 37:
        return entries
    return {'oneOf': [entries, {'type': 'string', 'enum': ['none', 'auto']}]}


def _name(minor: int) -> Schema:
    return params.PADDED_NAME if minor == 0 else params.NAME


def _user_data(minor: int) -> Schema:
    kind = ['string', 'null'] if minor == 0 else 'string'
    return {'type': kind, 'format': 'base64', 'maxLength': 65535}


PERSONALITY = params.array(
    params.obj({'path': params.STRING, 'contents': {'type': 'string', 'format': 'base64'}})
)
CERTIFICATES: Schema = {
    'type': ['array', 'null'],
    'minItems': 1,
    'maxItems': 50,
    'uniqueItems': True,
    'items': {'type': 'string', 'minLength': 1},
}
_IMAGE: Schema = {'oneOf': [params.UUID, {'type': 'string', 'maxLength': 0}]}

# Name; schema, or what gives it for a version; first and last minor version.
_FIELDS: list[tuple[str, object, int, int]] = [
    ('name', _name, 0, NEWEST),
    ('imageRef', _IMAGE, 0, NEWEST),
    ('flavorRef', {'type': ['string', 'integer'], 'minLength': 1}, 0, NEWEST),
    ('adminPass', params.STRING, 0, NEWEST),
    ('metadata', params.METADATA, 0, NEWEST),
    ('networks', _networks, 0, NEWEST),
    ('OS-DCF:diskConfig', fields.DISK_CONFIG, 0, NEWEST),
    ('accessIPv4', fields.IPV4, 0, NEWEST),
    ('accessIPv6', fields.IPV6, 0, NEWEST),
    ('personality', PERSONALITY, 0, 56),
    ('availability_zone', _name, 0, NEWEST),
    ('block_device_mapping', params.array(params.obj(_VOLUME)), 0, NEWEST),
    ('block_device_mapping_v2', _devices, 0, NEWEST),
    ('config_drive', params.BOOLEAN, 0, NEWEST),
    ('key_name', _name, 0, NEWEST),
    ('min_count', _COUNT, 0, NEWEST),
    ('max_count', _COUNT, 0, NEWEST),
    ('return_reservation_id', params.BOOLEAN, 0, NEWEST),
    ('security_groups', lambda minor: params.array(params.obj({'name': _name(minor)})), 0, NEWEST),
    ('user_data', _user_data, 0, NEWEST),
    ('description', fields.DESCRIPTION, 19, NEWEST),
    ('tags', tags.TAGS, 52, NEWEST),
    ('trusted_image_certificates', CERTIFICATES, 63, NEWEST),
    ('host', params.HOST, 74, NEWEST),
    ('hypervisor_hostname', params.HOST, 74, NEWEST),
    ('hostname', fields.HOSTNAME_290, 90, 93),
    ('hostname', fields.HOSTNAME_294, 94, NEWEST),
]

_ONE_OR_MORE_IDS: Schema = {'oneOf': [params.UUID, params.array(params.UUID)]}
_HINTS = params.obj(
    {
        'group': _ONE_OR_MORE_IDS,
        'different_host': _ONE_OR_MORE_IDS,
        'same_host': {'type': ['string', 'array'], 'items': params.UUID},
        'query': {'type': ['string', 'object']},
        'target_cell': params.NAME,
        'different_cell': {'type': ['string', 'array'], 'items': params.STRING},
        'build_near_host_ip': fields.IP,
        'cidr': {'type': 'string', 'pattern': '^/[0-9a-f.:]+$'},
    },
    more=True,
)
HINTS = ('os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints')

RANGES = (
    ('2.0', '2.0'),
    ('2.1', '2.18'),
    ('2.19', '2.31'),
    ('2.32', '2.32'),
    ('2.33', '2.36'),
    ('2.37', '2.41'),
    ('2.42', '2.51'),
    ('2.52', '2.56'),
    ('2.57', '2.62'),
    ('2.63', '2.66'),
    ('2.67', '2.73'),
    ('2.74', '2.89'),
    ('2.90', '2.93'),
    ('2.94', None),
)


def body(minor: int) -> Schema:
    """Return the body's schema of one version (0: ``/v2``)."""
    known = {
        name: one(minor) if callable(one) else one
        for name, one, since, until in _FIELDS
        if since <= minor <= until
    }
    required = ['name', 'flavorRef', *(['networks'] if minor >= 37 else [])]
    server = params.obj(copy.deepcopy(known), required)
    return params.obj({'server': server, **dict.fromkeys(HINTS, _HINTS)}, ['server'])


def personality(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the files as (path, contents in base64).  Raises a 400 fault."""
    files = []
    for number, entry in enumerate(asked.get('personality', [])):
        for key in ('path', 'contents'):
            if key not in entry:
                raise Fault(400, f"Bad personality format: entry {number} has no '{key}'")
        files.append((entry['path'], entry['contents']))
    return files
