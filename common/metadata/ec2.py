"""The EC2 tree: what EC2's metadata service answers, by version."""

from typing import Any

from kilonova.common.objects.server import Server

VERSIONS = (
    '1.0',
    '2007-01-19',
    '2007-03-01',
    '2007-08-29',
    '2007-10-10',
    '2007-12-15',
    '2008-02-01',
    '2008-09-01',
    '2009-04-04',
)
LATEST = 'latest'

Node = dict[str, Any]

# Where nothing says which devices a guest has, EC2's own names are given.
_DEFAULT_DEVICES = {
    'ami': 'sda1',
    'root': '/dev/sda1',
    'ephemeral0': '/dev/sda2',
    'swap': '/dev/sda3',
}


def tree(
    server: Server, version: str, hostname: str, user_data: bytes | None, address: str | None
) -> Node:
    """Return the tree of one version.  ``address`` is used when the server has none of its own."""
    fixed = [ip for vif in server.network_info for ip in vif.fixed_ips if ip.version == 4]
    floating = [addr for ip in fixed for addr in ip.floating_ips]
    meta: Node = {
        'ami-id': _id('ami', server.image.id),
        'ami-launch-index': server.launch_index,
        'ami-manifest-path': 'FIXME',
        'instance-id': f'i-{server.id:08x}',
        'hostname': hostname,
        'local-ipv4': fixed[0].address if fixed else address or '',
        'reservation-id': server.reservation_id or '',
        'security-groups': server.security_groups,
    }
    if server.key_name and server.key_public:
        meta['public-keys'] = {
            '0': {'_name': f'0={server.key_name}', 'openssh-key': server.key_public}
        }
    if _reaches(version, '2007-01-19'):
        meta['local-hostname'] = hostname
        meta['public-hostname'] = hostname
        meta['public-ipv4'] = floating[0] if floating else ''
    if _reaches(version, '2007-08-29'):
        meta['instance-type'] = server.flavor.name
    if _reaches(version, '2007-12-15'):
        meta['block-device-mapping'] = _devices(server)
        if server.kernel_id:
            meta['kernel-id'] = _id('aki', server.kernel_id)
        if server.ramdisk_id:
            meta['ramdisk-id'] = _id('ari', server.ramdisk_id)
    if _reaches(version, '2008-02-01'):
        meta['placement'] = {'availability-zone': server.availability_zone or ''}
    if _reaches(version, '2008-09-01'):
        meta['instance-action'] = 'none'
    found: Node = {'meta-data': meta}
    if user_data is not None:
        found['user-data'] = user_data
    return found


def _reaches(version: str, since: str) -> bool:
    return version == LATEST or VERSIONS.index(version) >= VERSIONS.index(since)


def _id(kind: str, image_id: str) -> str:
    """Return an id of EC2's form; images have no number, so it comes from the UUID."""
    return f'{kind}-{image_id.replace("-", "")[:8] or "00000000"}'


def _devices(server: Server) -> dict[str, str]:
    root = server.root_device_name
    if not root:
        return dict(_DEFAULT_DEVICES)
    found = {'ami': root.removeprefix('/dev/'), 'root': root}
    blanks = [d for d in server.block_devices if d.source_type == 'blank' and d.device_name]
    swaps = [d for d in blanks if d.guest_format == 'swap']
    ephemerals = [d for d in blanks if d.guest_format != 'swap' and d.destination_type == 'local']
    volumes = [d for d in server.block_devices if d.destination_type == 'volume' and d.device_name]
    found.update({f'ephemeral{n}': d.device_name or '' for n, d in enumerate(ephemerals)})
    if swaps:
        found['swap'] = swaps[-1].device_name or ''
    found.update({f'ebs{n}': d.device_name or '' for n, d in enumerate(volumes)})
    return found


def render(value: Any) -> bytes:
    """Return a value, or the list of a directory's entries."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return '\n'.join(
            _entry(key, value[key]) for key in sorted(value) if key != '_name'
        ).encode()
    if isinstance(value, list):
        return '\n'.join(str(item) for item in value).encode()
    return str(value).encode()


def _entry(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get('_name', key + '/'))
    return key
