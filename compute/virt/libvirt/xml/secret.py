"""<secret>: a value that libvirt keeps in memory alone, and gives to QEMU but to nobody else."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Secret(Element):
    TAG = 'secret'

    ephemeral: str = at('@ephemeral', default='yes')
    private: str = at('@private', default='yes')
    uuid: str | None = at('uuid', default=None)
    description: str | None = at('description', default=None)
    usage: str = at('usage/@type')
    iscsi_target: str | None = at('usage/target', default=None)
    volume: str | None = at('usage/volume', default=None)
    ceph_name: str | None = at('usage/name', default=None)
    vtpm_name: str | None = at('usage/name', default=None)
