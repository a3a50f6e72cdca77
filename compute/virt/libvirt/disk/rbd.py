"""Disks that are images of a Ceph pool: ``UUID_NAME`` in [libvirt]images_rbd_pool.

Ceph's own ``rbd`` command does the work; QEMU reaches the images by itself.
"""

import json
import os
import tempfile
from typing import Any

from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg
from kilonova.compute.virt.libvirt.xml.disk import Auth, Disk, SourceHost

NOT_FOUND = 2
MIB = 1024**2


class Rbd(Backend):
    FORMAT = 'raw'
    IN_DIRECTORY = False
    SHARED = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._pool = str(conf.libvirt.images_rbd_pool)

    def locate(self, directory: str, name: str) -> str:
        return f'{self._pool}/{os.path.basename(directory)}_{name}'

    def create(self, disk: str, base: Cached, size: int) -> None:
        self.remove(disk)  # half an import of an earlier attempt
        with self._as_raw(base) as path:
            self._rbd('import', '--image-format', '2', path, disk)
        self.resize(disk, size)

    def exists(self, disk: str) -> bool:
        return self._info(disk) is not None

    def size(self, disk: str) -> int:
        info = self._info(disk)
        if info is None:
            raise FileNotFoundError(f'There is no {disk} in Ceph')
        return int(info['size'])

    def resize(self, disk: str, size: int) -> None:
        if self.size(disk) < size:
            self._rbd('resize', '--size', f'{-(-size // MIB)}M', disk)

    def copy(self, disk: str, target: str, target_format: str, compress: bool = False) -> None:
        QemuImg(self._conf).flatten(self._address(disk), 'raw', target, target_format, compress)

    def remove(self, disk: str) -> None:
        self._rbd('rm', '--no-progress', disk, missing_ok=True)

    def remove_all(self, directory: str) -> None:
        prefix = os.path.basename(directory) + '_'
        for name in json.loads(self._rbd('ls', '--format', 'json', self._pool)):
            if name.startswith(prefix):
                self.remove(f'{self._pool}/{name}')

    def describe(self, disk: str, xml: Disk) -> None:
        xml.type, xml.protocol, xml.name = 'network', 'rbd', disk
        xml.hosts = [SourceHost(name=host, port=port) for host, port in self._monitors()]
        user, secret = self._conf.libvirt.rbd_user, self._conf.libvirt.rbd_secret_uuid
        if user and secret:
            xml.auth = Auth(username=user, secret_type='ceph', secret_uuid=secret)

    def space(self) -> tuple[int, int]:
        found = json.loads(self._run('ceph', 'df', '--format', 'json'))
        for pool in found['pools']:
            if pool['name'] == self._pool:
                stats = pool['stats']
                return stats['max_avail'] + stats['stored'], stats['max_avail']
        raise OSError(f'Ceph has no pool {self._pool}')

    def _as_raw(self, base: Cached) -> '_Raw':
        return _Raw(self._conf, base)

    def _monitors(self) -> list[tuple[str, str]]:
        found = json.loads(self._run('ceph', 'mon', 'dump', '--format', 'json'))
        addresses = [monitor['addr'].partition('/')[0] for monitor in found['mons']]
        pairs = [address.rpartition(':') for address in addresses]
        return [(host.strip('[]'), port) for host, _, port in pairs]

    def _info(self, disk: str) -> dict[str, Any] | None:
        text = self._rbd('info', '--format', 'json', disk, missing_ok=True)
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def _address(self, disk: str) -> str:
        """Return the disk by QEMU's words."""
        address = f'rbd:{disk}'
        if self._conf.libvirt.rbd_user:
            address += f':id={self._conf.libvirt.rbd_user}'
        if self._conf.libvirt.images_rbd_ceph_conf:
            address += f':conf={self._conf.libvirt.images_rbd_ceph_conf}'
        return address

    def _rbd(self, *arguments: str, missing_ok: bool = False) -> str:
        return self._run('rbd', *arguments, missing_ok=missing_ok)

    def _run(self, program: str, *arguments: str, missing_ok: bool = False) -> str:
        libvirt = self._conf.libvirt
        access = [f'--id={libvirt.rbd_user}'] if libvirt.rbd_user else []
        access += [f'--conf={libvirt.images_rbd_ceph_conf}'] if libvirt.images_rbd_ceph_conf else []
        access.append(f'--connect-timeout={libvirt.rbd_connect_timeout}')
        try:
            out, _err = processutils.execute(program, *access, *arguments)
        except processutils.ProcessExecutionError as error:
            if missing_ok and error.exit_code == NOT_FOUND:
                return ''
            raise
        return str(out)


class _Raw:
    """An image of the cache as a raw file, for as long as it is looked at."""

    def __init__(self, conf: cfg.ConfigOpts, base: Cached) -> None:
        self._conf, self._base = conf, base
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> str:
        if self._base.format == 'raw':
            return self._base.path
        self._folder = tempfile.TemporaryDirectory(dir=os.path.dirname(self._base.path))
        path = os.path.join(self._folder.name, 'raw')
        base = self._base
        QemuImg(self._conf).convert(base.path, base.format, path, base.virtual_size)
        return path

    def __exit__(self, *args: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
