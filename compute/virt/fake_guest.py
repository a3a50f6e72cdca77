"""What the fake hypervisor keeps of a guest."""

import datetime
import itertools
from collections.abc import Iterable

import msgspec
from oslo_utils import timeutils

from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.place import Place, Places
from kilonova.compute.virt import driver
from kilonova.compute.virt.driver import PowerState

FIRST_SLOT = 3


class Guest(msgspec.Struct, kw_only=True):
    """One guest, as it is kept in the state file."""

    uuid: str
    name: str
    state: int
    vcpus: int
    memory_mb: int
    disk_gb: int
    image_id: str = ''
    rescue_image_id: str = ''
    ports: list[str] = []
    macs: dict[str, str] = {}
    slots: dict[str, int] = {}
    volumes: dict[str, str] = {}
    """Volume id to device name."""
    config_drive: list[str] = []
    boots: int = 0
    started_at: datetime.datetime | None = None
    console: list[str] = []
    left: bool = False


def reachable(host: str, device: BlockDevice) -> str:
    """Return a volume's id; one that is not connected to this host cannot be had."""
    info = device.connection_info or {}
    if info.get('data', {}).get('host', host) != host or not info or not device.volume_id:
        raise exception.VirtDriverError(reason=f'Volume {device.volume_id} is not connected.')
    return device.volume_id


def guest_of(spec: driver.GuestSpec, host: str) -> Guest:
    flavor, devices = spec.server.flavor, spec.server.block_devices
    root_gb = 0 if spec.server.boots_from_volume else flavor.root_gb
    return Guest(
        uuid=spec.server.uuid,
        name=spec.server.name,
        state=PowerState.PAUSED,
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        disk_gb=root_gb + flavor.ephemeral_gb,
        image_id=spec.server.image.id,
        volumes={
            reachable(host, device): device.device_name or ''
            for device in block_device.volumes(devices)
        },
    )


def places(guest: Guest) -> Places:
    """Return where a guest finds its ports and volumes; who is new gets the first free slot."""
    names = [guest.macs.get(port, port) for port in guest.ports]
    names += [name.removeprefix('/dev/') for name in guest.volumes.values()]
    slots = {name: guest.slots[name] for name in names if name in guest.slots}
    for name in names:
        if name not in slots:
            slots[name] = next(n for n in itertools.count(FIRST_SLOT) if n not in slots.values())
    guest.slots = slots
    return {name: Place(bus='pci', address=f'0000:00:{n:02x}.0') for name, n in slots.items()}


def plug(guest: Guest, vifs: Iterable[VIF]) -> None:
    guest.ports += [vif.id for vif in vifs if vif.id not in guest.ports]
    guest.macs |= {vif.id: vif.address.lower() for vif in vifs}


def clock() -> str:
    return f'{timeutils.utcnow():%Y-%m-%d %H:%M:%S}'


def boot_text(guest: Guest, vifs: list[VIF]) -> list[str]:
    addresses = [
        f'[{clock()}] eth{number}: {vif.address} '
        + ' '.join(fixed_ip.address for fixed_ip in vif.fixed_ips)
        for number, vif in enumerate(vifs)
    ]
    return [
        f'[{clock()}] Fake guest {guest.uuid} boots for the {guest.boots}. time',
        f'[{clock()}] {guest.vcpus} processors, {guest.memory_mb} MiB of memory, '
        f'{guest.disk_gb} GiB of disk, image {guest.rescue_image_id or guest.image_id or "none"}',
        *(line.rstrip() for line in addresses),
        f'{guest.name} login:',
    ]
