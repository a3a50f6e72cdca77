"""<disk>: what a guest sees as one disk, whatever is behind it."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class SourceHost(Element):
    """Where the server of a network disk listens."""

    TAG = 'host'

    name: str | None = at('@name', default=None)
    port: str | None = at('@port', default=None)


class Auth(Element):
    """As whom QEMU speaks to the server; the password is a secret that libvirt keeps."""

    TAG = 'auth'

    username: str = at('@username')
    secret_type: str = at('secret/@type')
    secret_uuid: str | None = at('secret/@uuid', default=None)


class Encryption(Element):
    """The passphrase of an encrypted disk is a secret, too."""

    TAG = 'encryption'

    format: str = at('@format', default='luks')
    secret_type: str = at('secret/@type', default='passphrase')
    secret_uuid: str = at('secret/@uuid')


class Disk(Element):
    """A disk in a file (``path``), a block device (``dev``) or behind a network protocol.

    The format is always said: QEMU must never guess it.
    """

    TAG = 'disk'

    type: str = at('@type', default='file')
    device: str = at('@device', default='disk')
    driver: str = at('driver/@name', default='qemu')
    format: str = at('driver/@type')
    cache: str | None = at('driver/@cache', default=None)
    io: str | None = at('driver/@io', default=None)
    discard: str | None = at('driver/@discard', default=None)
    iothread: int | None = at('driver/@iothread', default=None)
    packed: str | None = at('driver/@packed', default=None)
    path: str | None = at('source/@file', default=None)
    dev: str | None = at('source/@dev', default=None)
    protocol: str | None = at('source/@protocol', default=None)
    name: str | None = at('source/@name', default=None)
    hosts: list[SourceHost] = at('source', default_factory=list)
    auth: Auth | None = at('source', default=None)
    encryption: Encryption | None = at('source', default=None)
    initiator: str | None = at('source/initiator/iqn/@name', default=None)
    target: str = at('target/@dev')
    bus: str = at('target/@bus')
    boot_order: int | None = at('boot/@order', default=None)
    readonly: bool = at('readonly', default=False)
    shareable: bool = at('shareable', default=False)
    serial: str | None = at('serial', default=None)
    read_bytes_sec: str | None = at('iotune/read_bytes_sec', default=None)
    write_bytes_sec: str | None = at('iotune/write_bytes_sec', default=None)
    total_bytes_sec: str | None = at('iotune/total_bytes_sec', default=None)
    read_iops_sec: str | None = at('iotune/read_iops_sec', default=None)
    write_iops_sec: str | None = at('iotune/write_iops_sec', default=None)
    total_iops_sec: str | None = at('iotune/total_iops_sec', default=None)
