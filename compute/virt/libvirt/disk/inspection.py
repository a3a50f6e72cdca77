"""Looks into an image before QEMU may: an image is a stranger's program for QEMU's parsers.

The format is found by oslo.utils' inspectors, which parse headers only, and must be
the one that Glance has on record.  Features that reach outside of the file (backing
files, data files, extents) or that nobody knows are refused.  What passes is
looked at by qemu-img too, with limits and told the format, and must look the same there.
"""

import dataclasses
import os
from typing import Any

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils.imageutils import format_inspector

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg

LOG = logging.getLogger(__name__)

CHUNK = 65536
# Glance's disk_format: what the content may be found to be.  A partition table (gpt, which
# stands for MBR too) is no format of its own; a bootable ISO may carry one.
RAW_LIKE = {'raw', 'gpt'}
CONTENT = {
    'raw': RAW_LIKE,
    'ami': RAW_LIKE,
    'aki': RAW_LIKE,
    'ari': RAW_LIKE,
    'iso': {'iso', 'gpt'},
    'qcow2': {'qcow2'},
    'vdi': {'vdi'},
    'vhd': {'vhd'},
    'vhdx': {'vhdx'},
    'vmdk': {'vmdk'},
}
# What QEMU calls them.
DRIVERS = {'vhd': 'vpc', 'gpt': 'raw', 'iso': 'raw'}


@dataclasses.dataclass(frozen=True)
class Inspected:
    """An image that may be used: QEMU's name of its format, and its size for the guest."""

    format: str
    virtual_size: int


def inspect(conf: cfg.ConfigOpts, image: Image, path: str) -> Inspected:
    """Return the facts of the image in ``path``.  Raises ImageUnacceptable."""
    claim = (image.disk_format or '').lower()
    if claim not in CONTENT:
        raise _refused(image, f'disk format {image.disk_format} is not supported.')
    if os.path.getsize(path) == 0:
        raise _refused(image, 'it is empty.')
    size = 0
    if not conf.workarounds.disable_deep_image_inspection:
        size = _look_deep(image, claim, path)
    driver = DRIVERS.get(claim, claim if claim not in ('ami', 'aki', 'ari') else 'raw')
    return Inspected(driver, max(size, _ask_qemu(conf, image, driver, path)))


def _look_deep(image: Image, claim: str, path: str) -> int:
    """Check format and features by the inspectors; return the size that the header tells."""
    found = {str(inspector): inspector for inspector in _detect(path)}
    names = ', '.join(sorted(found)) or 'nothing known'
    if not found or not set(found) <= CONTENT[claim] or (claim == 'iso' and 'iso' not in found):
        raise _refused(image, f'its content is {names}, but its disk format is {claim}.')
    if len(found) > 1 and claim != 'iso':
        raise _refused(image, f'its content can be read in more than one way: {names}.')
    inspector = found['iso'] if claim == 'iso' else next(iter(found.values()))
    try:
        inspector.safety_check()
        return 0 if claim in ('iso', 'raw') else int(inspector.virtual_size)
    except format_inspector.SafetyCheckFailed as error:
        failures = '; '.join(f'{name}: {why}' for name, why in sorted(error.failures.items()))
        raise _refused(image, f'it is not safe to use ({failures}).') from error
    except format_inspector.ImageFormatError as error:
        raise _refused(image, f'it cannot be checked: {error}.') from error


def _detect(path: str) -> list[Any]:
    """Return the inspectors that know the content; reads no more than they need."""
    with open(path, 'rb') as file:
        wrapper = format_inspector.InspectWrapper(file)
        while wrapper.read(CHUNK):
            if wrapper.formats:
                break
            if file.tell() >= os.path.getsize(path):
                break
        wrapper.close()
    return list(wrapper.formats or [])


def _ask_qemu(conf: cfg.ConfigOpts, image: Image, driver: str, path: str) -> int:
    """Return the size by QEMU's reading, after a second look at what it would open."""
    qemu_img = QemuImg(conf)
    try:
        info = qemu_img.info(path, driver)
        if driver == 'qcow2' and not qemu_img.check(path, driver):
            raise _refused(image, 'its structure is broken.')
    except processutils.ProcessExecutionError as error:
        LOG.warning('qemu-img on image %s: %s', image.id, error.stderr)
        raise _refused(image, 'qemu-img cannot read it.') from error
    if info.get('backing-filename') or info.get('full-backing-filename'):
        raise _refused(image, 'it has a backing file.')
    details = (info.get('format-specific') or {}).get('data') or {}
    if details.get('data-file'):
        raise _refused(image, 'it has a data file.')
    if info.get('encrypted'):
        raise _refused(image, 'it is encrypted.')
    if driver == 'vmdk':
        _check_vmdk(conf, image, details, path)
    return int(info['virtual-size'])


def _check_vmdk(conf: cfg.ConfigOpts, image: Image, details: dict[str, Any], path: str) -> None:
    kind = details.get('create-type')
    if kind not in conf.compute.vmdk_allowed_types:
        raise _refused(image, f'VMDK type {kind} is not allowed.')
    for extent in details.get('extents') or []:
        if os.path.realpath(extent.get('filename', '')) != os.path.realpath(path):
            raise _refused(image, 'its extents are in other files.')


def _refused(image: Image, reason: str) -> exception.ImageUnacceptable:
    return exception.ImageUnacceptable(image_id=image.id, reason=reason)
