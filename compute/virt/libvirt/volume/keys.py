"""Keys of encrypted volumes.

Cinder makes a key for each encrypted volume and keeps it in the key manager; QEMU opens the
volume's LUKS header with it.  The passphrase is the key's hexadecimal text, as everywhere in
OpenStack.
"""

from typing import Any

from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.context import get_admin_context

FIXED = '00000000-0000-0000-0000-000000000000'
"""The key's id in clouds without a key manager."""
FORMATS = {'luks': 'luks', 'luks1': 'luks', 'luks2': 'luks2'}


def check(encryption: dict[str, Any], volume_id: str | None) -> str:
    """Return QEMU's name for a volume's encryption.  Raises VirtDriverError."""
    provider = str(encryption.get('provider', ''))
    found = FORMATS.get(provider.lower())
    if found != 'luks':
        raise exception.VirtDriverError(
            reason=f'Volume {volume_id} is encrypted by {provider or "nobody knows what"}, '
            'which QEMU cannot read.'
        )
    return found


def passphrase(conf: cfg.ConfigOpts, key_id: str) -> bytes:
    """Return what opens a volume.  Raises VirtDriverError."""
    if key_id == FIXED:
        fixed = conf.key_manager.fixed_key
        if not fixed:
            raise exception.VirtDriverError(
                reason="The volume's key is [key_manager]fixed_key, which is not set here."
            )
        return str(fixed).lower().encode()
    return _from_manager(conf, key_id)


def _from_manager(conf: cfg.ConfigOpts, key_id: str) -> bytes:
    from castellan import key_manager
    from castellan.common import exception as castellan_exception

    try:
        key = key_manager.API(conf).get(get_admin_context(), key_id)
    except castellan_exception.CastellanException as error:
        raise exception.VirtDriverError(
            reason=f'The key {key_id} cannot be had: {error}'
        ) from error
    return (key.get_encoded() or b'').hex().encode()
