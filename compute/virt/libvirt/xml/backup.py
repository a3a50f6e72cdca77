"""<domainbackup>: which disks are copied while the guest runs."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class BackupDisk(Element):
    """A disk and the file that its content goes to; with ``backup`` 'no' it is left out."""

    TAG = 'disk'

    name: str = at('@name')
    backup: str = at('@backup', default='yes')
    type: str | None = at('@type', default='file')
    path: str | None = at('target/@file', default=None)
    format: str | None = at('driver/@type', default=None)


class Backup(Element):
    """All of the disks at the same moment."""

    TAG = 'domainbackup'

    mode: str = at('@mode', default='push')
    disks: list[BackupDisk] = at('disks')
