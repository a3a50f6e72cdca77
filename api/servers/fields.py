"""What creating and updating a server share: pieces of schemas, and how a field is kept."""

import netaddr

from kilonova.api import params

Schema = params.Schema

DESCRIPTION: Schema = {'type': ['string', 'null'], 'format': 'printable', 'maxLength': 255}
DISK_CONFIG: Schema = {'type': 'string', 'enum': ['AUTO', 'MANUAL']}
IPV4: Schema = {'type': 'string', 'format': 'ipv4'}
IPV6: Schema = {'type': 'string', 'format': 'ipv6'}
IP: Schema = {'type': 'string', 'oneOf': [{'format': 'ipv4'}, {'format': 'ipv6'}]}
HOSTNAME_290: Schema = {
    'type': 'string',
    'minLength': 2,
    'maxLength': 63,
    'pattern': '^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$',
}
HOSTNAME_294 = params.HOST


def short_ipv6(address: str | None) -> str | None:
    """The shortest of an address's spellings: others are longer than what is stored."""
    return netaddr.IPAddress(address, 6).format() if address else address
