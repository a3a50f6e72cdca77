"""Images of root disks: flat copies of what a guest sees at one moment.

A guest that runs is copied by QEMU, which keeps the moment while the guest goes on to write:
its file systems stand still only until the copy has begun.  The job ends with its guest; one
that a crash of ours has left is stopped when the next one begins.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import ImageSink
from kilonova.compute.virt.libvirt import agent, privileged
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.xml.backup import Backup, BackupDisk
from kilonova.compute.virt.libvirt.xml.element import Node

LOG = logging.getLogger(__name__)

POLL = 0.3
CLOSING = 60
# Formats that QEMU writes while it copies; the others are made of what it has written.
DIRECT = ('raw', 'qcow2')


class Snapshots:
    """Makes images of one host's servers."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        guests: Guests,
        directories: Directories,
        backend: Backend,
        node: str,
    ) -> None:
        self._conf, self._guests, self._directories = conf, guests, directories
        self._backend, self._prefix = backend, f'{node}-'

    def take(self, server: Server, sink: ImageSink) -> None:
        """Copy the root disk and upload the copy.  Raises VirtDriverError."""
        guest = self._guests.find(server.uuid)
        disk = self._backend.locate(self._directories.path(server.uuid), 'disk')
        wanted = self._conf.libvirt.snapshot_image_format or self._backend.FORMAT
        with self._folder() as folder:
            path = os.path.join(folder, 'image')
            try:
                self._copy(guest, server, disk, path, wanted)
            except (processutils.ProcessExecutionError, OSError) as error:
                raise exception.VirtDriverError(
                    reason=f'The disk could not be copied: {_last_line(error)}'
                ) from error
            sink.upload(path, wanted)

    def sweep(self) -> None:
        """Remove what is left of snapshots that were cut short."""
        root = self._conf.libvirt.snapshots_directory
        if os.path.isdir(root):
            for entry in os.scandir(root):
                if entry.name.startswith(self._prefix):
                    LOG.info('Removing %s, which is left of a snapshot', entry.path)
                    shutil.rmtree(entry.path)

    @contextlib.contextmanager
    def _folder(self) -> Iterator[str]:
        root = self._conf.libvirt.snapshots_directory
        os.makedirs(root, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=self._prefix) as folder:
            # QEMU, which is somebody else, has to find its file in there.
            os.chmod(folder, 0o711)
            yield folder

    def _copy(self, guest: Guest, server: Server, disk: str, path: str, wanted: str) -> None:
        squeeze = self._conf.libvirt.snapshot_compression
        if not guest.is_active():
            self._backend.copy(disk, path, wanted, squeeze)
            return
        if wanted in DIRECT and not squeeze:
            self._copy_live(guest, server, disk, path, wanted)
            return
        between = path + '.live'
        self._copy_live(guest, server, disk, between, 'qcow2')
        QemuImg(self._conf).flatten(between, 'qcow2', path, wanted, squeeze)

    def _copy_live(
        self, guest: Guest, server: Server, disk: str, path: str, image_format: str
    ) -> None:
        _stop_leftover(guest)
        target, size = _of_domain(guest.live_xml(), disk), self._backend.size(disk)
        QemuImg(self._conf).create(path, image_format, size)
        xml = Backup(
            disks=[BackupDisk(name=target, path=path, format=image_format)]
            + [BackupDisk(name=name, backup='no', type=None)
               for name in _targets(guest.live_xml()) if name != target]
        ).to_xml()  # fmt: skip
        with agent.quiesced(guest, server):
            guest.begin_backup(xml)
        try:
            _wait(guest, path)
        except BaseException:
            guest.abort_job()
            raise
        _wait_closed(self._conf, path, image_format)
        if not os.access(path, os.R_OK):
            privileged.take_over(path, os.geteuid())


def _wait(guest: Guest, path: str) -> None:
    """Wait until the copy has ended; raise when it has not ended well."""
    while guest.backup() is not None:
        time.sleep(POLL)
    if not guest.is_active():
        raise exception.VirtDriverError(reason='The guest ended before its disk was copied.')
    figures = guest.last_job()
    if not figures.get('success', True):
        why = figures.get('errmsg') or 'QEMU does not say why'
        raise exception.VirtDriverError(reason=f'The disk could not be copied: {why}')


def _wait_closed(conf: cfg.ConfigOpts, path: str, image_format: str) -> None:
    """Wait until QEMU has let go of a copy: before that its tables may not be written yet."""
    deadline = time.monotonic() + CLOSING
    while not QemuImg(conf).is_free(path, image_format):
        if time.monotonic() > deadline:
            raise exception.VirtDriverError(
                reason=f'QEMU still writes to the copy of the disk after {CLOSING} seconds.'
            )
        time.sleep(POLL)


def _stop_leftover(guest: Guest) -> None:
    if guest.backup() is None:
        return
    LOG.info('Stopping an earlier copy of the disk of guest %s', guest.uuid)
    guest.abort_job()
    while guest.backup() is not None:
        time.sleep(POLL)


def _of_domain(xml: Node, disk: str) -> str:
    """Return by what name the domain knows a disk."""
    for node in xml.findall('devices/disk'):
        source, target = node.find('source'), node.find('target')
        if source is not None and target is not None:
            if disk in (source.get('file'), source.get('dev'), source.get('name')):
                return str(target.get('dev'))
    raise exception.VirtDriverError(reason=f'The guest does not have the disk {disk}.')


def _targets(xml: Node) -> list[str]:
    return [str(node.get('dev')) for node in xml.findall('devices/disk/target')]


def _last_line(error: Exception) -> str:
    if isinstance(error, processutils.ProcessExecutionError):
        lines = [line for line in (error.stderr or '').splitlines() if line.strip()]
        return lines[-1] if lines else f'exit status {error.exit_code}'
    return str(error)
