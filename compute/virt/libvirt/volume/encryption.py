"""Encrypted volumes: QEMU opens them itself, with a key that libvirt passes on."""

import os
import tempfile
from typing import Any

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.compute.virt.libvirt.volume import keys
from kilonova.compute.virt.libvirt.volume.secrets import Secrets
from kilonova.compute.virt.libvirt.xml.disk import Disk, Encryption

LOG = logging.getLogger(__name__)

MAGIC = b'LUKS\xba\xbe'
MIB = 1024**2
HEADER = 2 * MIB
"""What QEMU's LUKS header takes at most."""
USAGE = 'volume'


class Encryptions:
    """Prepares encrypted volumes of one host."""

    def __init__(self, conf: cfg.ConfigOpts, secrets: Secrets) -> None:
        self._conf, self._secrets = conf, secrets

    def add(self, device: BlockDevice, encryption: dict[str, Any], disk: Disk) -> None:
        """Let QEMU open a volume; one that was never used gets its header first."""
        kind = keys.check(encryption, device.volume_id)
        key = keys.passphrase(self._conf, str(encryption['encryption_key_id']))
        path = disk.path or disk.dev
        if path is not None and disk.format == 'raw':
            self._format(path, key, device.volume_id)
        secret = self._secrets.keep(USAGE, str(device.volume_id), key)
        disk.encryption = Encryption(format=kind, secret_uuid=secret)

    def forget(self, device: BlockDevice) -> None:
        self._secrets.forget(USAGE, str(device.volume_id))

    def _format(self, path: str, key: bytes, volume_id: str | None) -> None:
        """Write a LUKS header where there is neither one nor anything else."""
        # Unused is what has nothing where any file system or header would be.
        with open(path, 'rb') as file:
            start = file.read(MIB)
            size = file.seek(0, os.SEEK_END)
        if start.startswith(MAGIC):
            return
        if start.strip(b'\0'):
            raise exception.VirtDriverError(
                reason=f'Volume {volume_id} is to be encrypted, but has other content.'
            )
        LOG.info('Volume %s gets its LUKS header', volume_id)
        with tempfile.NamedTemporaryFile() as secret:
            secret.write(key)
            secret.flush()
            processutils.execute(
                *('qemu-img', 'create', '-q', '-f', 'luks'),
                *('--object', f'secret,id=key,file={secret.name}', '-o', 'key-secret=key'),
                *(path, str(size - HEADER)),
                # It measures how fast it is, and cannot always on a busy machine.
                attempts=8,
            )
        if os.path.isfile(path):
            os.truncate(path, size)
