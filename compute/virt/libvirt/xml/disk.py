"""<disk>."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Disk(Element):
    """A disk in a file.  The format is always said: QEMU must never guess it."""

    TAG = 'disk'

    type: str = at('@type', default='file')
    device: str = at('@device', default='disk')
    driver: str = at('driver/@name', default='qemu')
    format: str = at('driver/@type')
    cache: str | None = at('driver/@cache', default=None)
    discard: str | None = at('driver/@discard', default=None)
    path: str | None = at('source/@file')
    target: str = at('target/@dev')
    bus: str = at('target/@bus')
    readonly: bool = at('readonly', default=False)
    serial: str | None = at('serial', default=None)
    read_bytes_sec: str | None = at('iotune/read_bytes_sec', default=None)
    write_bytes_sec: str | None = at('iotune/write_bytes_sec', default=None)
    total_bytes_sec: str | None = at('iotune/total_bytes_sec', default=None)
    read_iops_sec: str | None = at('iotune/read_iops_sec', default=None)
    write_iops_sec: str | None = at('iotune/write_iops_sec', default=None)
    total_iops_sec: str | None = at('iotune/total_iops_sec', default=None)
