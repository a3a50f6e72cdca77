"""Which backend [libvirt]images_type names."""

from oslo_config import cfg

from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.qcow2 import Qcow2
from kilonova.compute.virt.libvirt.disk.raw import Raw


def backend(conf: cfg.ConfigOpts) -> Backend:
    """Return the configured backend.  Raises VirtDriverError when its options are missing."""
    kind = conf.libvirt.images_type
    if kind == 'default':
        kind = 'qcow2' if conf.use_cow_images else 'raw'
    if kind == 'lvm':
        from kilonova.compute.virt.libvirt.disk.lvm import Lvm

        return Lvm(conf)
    if kind == 'rbd':
        from kilonova.compute.virt.libvirt.disk.rbd import Rbd

        return Rbd(conf)
    return Qcow2(conf) if kind == 'qcow2' else Raw(conf)
