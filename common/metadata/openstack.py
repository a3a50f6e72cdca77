"""The OpenStack tree: documents, and since which version each is there."""

import base64
import datetime
import secrets
from collections.abc import Sequence
from typing import Any

from kilonova.common.metadata import devices
from kilonova.common.metadata.versions import (
    FOLSOM,
    GRIZZLY,
    HAVANA,
    LATEST,
    LIBERTY,
    NEWTON_ONE,
    NEWTON_TWO,
    VERSIONS,
    VICTORIA,
    reaches,
)
from kilonova.common.objects.server import Server

Json = dict[str, Any]

META_DATA = 'meta_data.json'
USER_DATA = 'user_data'
PASSWORD = 'password'
VENDOR_DATA = 'vendor_data.json'
NETWORK_DATA = 'network_data.json'
VENDOR_DATA2 = 'vendor_data2.json'
CONTENT = 'content'

# The order is that of a version's listing.
SINCE = {
    META_DATA: FOLSOM,
    USER_DATA: FOLSOM,
    PASSWORD: GRIZZLY,
    VENDOR_DATA: HAVANA,
    NETWORK_DATA: LIBERTY,
    VENDOR_DATA2: NEWTON_TWO,
}

SEED_BYTES = 512


def versions(today: datetime.date) -> list[str]:
    """Return the versions that a guest is told of: none from the future."""
    return [v for v in VERSIONS if v <= today.isoformat()] + [LATEST]


def meta_data(
    server: Server,
    version: str,
    hostname: str,
    *,
    files: Sequence[Json] = (),
    admin_password: str | None = None,
) -> Json:
    """Return meta_data.json of one version."""
    found: Json = {'uuid': server.uuid}
    if server.metadata:
        found['meta'] = server.metadata
    if files:
        found['files'] = list(files)
    if admin_password:
        found['admin_pass'] = admin_password
    if server.key_name and server.key_public:
        name, key = server.key_name, server.key_public
        found['public_keys'] = {name: key}
        found['keys'] = [{'name': name, 'type': server.key_type or 'ssh', 'data': key}]
    found['hostname'] = hostname
    found['name'] = server.name
    found['launch_index'] = server.launch_index
    found['availability_zone'] = server.availability_zone
    if reaches(version, GRIZZLY):
        found['random_seed'] = base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
    if reaches(version, LIBERTY):
        found['project_id'] = server.project_id
    if reaches(version, NEWTON_ONE):
        found['devices'] = devices.told(server, version)
    if reaches(version, VICTORIA):
        found['dedicated_cpus'] = _dedicated_cpus(server)
    return found


def _dedicated_cpus(server: Server) -> list[int]:
    """Return the guest's processors that have one of the host's for themselves."""
    nodes = server.numa_topology.nodes if server.numa_topology else []
    return sorted(cpu for node in nodes for cpu in node.cpu_pinning or {})
