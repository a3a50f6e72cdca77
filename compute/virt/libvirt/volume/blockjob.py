"""What QEMU does to a running guest's disks beside the guest's own work."""

import os
import time
from collections.abc import Callable

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute.virt.libvirt.guest import Guest
from kilonova.compute.virt.libvirt.xml.disk import Disk
from kilonova.compute.virt.libvirt.xml.element import Element, Node, at

LOG = logging.getLogger(__name__)

INTERVAL = 0.3


class SnapshotDisk(Element):
    """One disk of a snapshot: with the file that is written from then on, or left out."""

    TAG = 'disk'

    name: str = at('@name')
    snapshot: str = at('@snapshot', default='external')
    file: str | None = at('source/@file', default=None)


class DiskSnapshot(Element):
    TAG = 'domainsnapshot'

    disks: list[SnapshotDisk] = at('disks', default_factory=list)


def copy(guest: Guest, target: str, disk: Disk) -> None:
    """Mirror a disk until both are the same, then let the guest go on with the copy."""
    guest.begin_copy(target, disk.to_xml())
    try:
        _wait(guest, target, lambda job: job['end'] > 0 and job['cur'] == job['end'])
        guest.end_block_job(target, pivot=True)
    except exception.KilonovaError:
        _give_up(guest, target)
        raise


def snapshot(guest: Guest, files: dict[str, str], *, quiesce: bool) -> None:
    """Let the guest write to other files from now on; the disks not named are left alone."""
    xml = guest.live_xml() if guest.is_active() else guest.xml()
    disks = []
    for node in xml.findall('devices/disk/target'):
        name = str(node.get('dev'))
        chosen = name in files
        disks.append(
            SnapshotDisk(name=name, snapshot='external' if chosen else 'no', file=files.get(name))
        )
    guest.snapshot_disks(DiskSnapshot(disks=disks).to_xml(), quiesce=quiesce)


def merge(guest: Guest, target: str, top: str | None, base: str | None) -> None:
    """Merge a chain's files, named relative to each other as Cinder knows them.

    Without ``base`` what lies between the disk and ``top`` is pulled into the disk (all of
    it, if that is None); else ``top`` is written down to ``base``.
    """
    chain = _chain(guest, target)
    if base is None:
        guest.pull_block(target, _indexed(chain, target, top) if top else None)
    else:
        guest.commit_block(
            target, _indexed(chain, target, base), _indexed(chain, target, top or '')
        )
    _wait(guest, target, lambda job: False)


def _wait(guest: Guest, target: str, enough: Callable[[dict[str, int]], bool]) -> None:
    """Wait until a job is as far as is enough, or has ended by itself."""
    while (job := guest.block_job(target)) is not None:
        if enough(job):
            return
        time.sleep(INTERVAL)


def _give_up(guest: Guest, target: str) -> None:
    try:
        if guest.block_job(target) is not None:
            guest.end_block_job(target, pivot=False)
    except exception.KilonovaError as error:
        LOG.warning('The copy of %s of guest %s did not end: %s', target, guest.uuid, error)


def _chain(guest: Guest, target: str) -> list[tuple[str, str]]:
    """Return (index, file) of a disk and of all below it."""
    for disk in guest.live_xml().findall('devices/disk'):
        node = disk.find('target')
        if node is None or node.get('dev') != target:
            continue
        found = []
        layer: Node | None = disk
        while layer is not None:
            source = layer.find('source')
            if source is not None:
                found.append((str(source.get('index') or layer.get('index')), _file(source)))
            layer = layer.find('backingStore')
        return found
    raise exception.VirtDriverError(reason=f'The guest has no disk {target}.')


def _file(source: Node) -> str:
    return str(source.get('file') or source.get('name') or '')


def _indexed(chain: list[tuple[str, str]], target: str, name: str) -> str:
    """Return how libvirt names one layer of a disk."""
    for index, path in chain:
        if os.path.basename(path) == os.path.basename(name):
            return f'{target}[{index}]'
    raise exception.VirtDriverError(reason=f'The disk {target} does not lie on {name}.')
