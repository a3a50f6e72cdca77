"""What creating and updating a server share: pieces of schemas, and how a field is kept."""

from typing import Any

import netaddr
from oslo_utils import strutils

from kilonova.api import params
from kilonova.common import exception
from kilonova.common.objects.image import Image

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


def automatic_disk(asked: dict[str, Any], image: Image) -> bool | None:
    """Tell whether a guest's disk is to be partitioned for it; None: it is not said.

    Raises AutoDiskConfigDisabledByImage when the image forbids what is asked for.
    """
    if 'OS-DCF:diskConfig' not in asked:
        return None
    automatic: bool = asked['OS-DCF:diskConfig'] == 'AUTO'
    if automatic and _of_image(image).strip().lower() == 'disabled':
        raise exception.AutoDiskConfigDisabledByImage(image=image.id)
    return automatic


def automatic_disk_at_first(asked: dict[str, Any], image: Image) -> bool:
    """As ``automatic_disk``, for a new server: its image says what the request does not."""
    wanted = automatic_disk(asked, image)
    return strutils.bool_from_string(_of_image(image)) if wanted is None else wanted


def _of_image(image: Image) -> str:
    return str(image.properties.get('auto_disk_config', ''))


def short_ipv6(address: str | None) -> str | None:
    """The shortest of an address's spellings: others are longer than what is stored."""
    return netaddr.IPAddress(address, 6).format() if address else address
