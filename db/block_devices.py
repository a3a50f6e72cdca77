"""Records of servers' block devices."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects.block_device import BlockDevice
from kilonova.db import types
from kilonova.db.engine import affected
from kilonova.db.servers import DEVICES

_decode = msgspec.json.Decoder(BlockDevice).decode


def of_server(session: Session, server_uuid: str) -> list[BlockDevice]:
    """Return a server's devices, also of a deleted one, in the order of their making."""
    c = DEVICES.c
    query = sa.select(c.id, sa.type_coerce(c.device, types.LongText))
    rows = session.execute(query.where(c.instance_uuid == server_uuid).order_by(c.id))
    found = []
    for number, text in rows:
        device = _decode(text)
        device.id = number
        found.append(device)
    return found


def add(session: Session, server_uuid: str, devices: Iterable[BlockDevice]) -> None:
    rows = [
        {
            'uuid': device.uuid,
            'instance_uuid': server_uuid,
            'volume_id': device.volume_id,
            'device': device,
        }
        for device in devices
    ]
    if rows:
        session.execute(sa.insert(DEVICES), rows)


def save(session: Session, server_uuid: str, devices: Sequence[BlockDevice]) -> None:
    """Write devices that are known already; the server's row has to be locked."""
    for device in devices:
        session.execute(
            sa.update(DEVICES)
            .where(DEVICES.c.uuid == device.uuid, DEVICES.c.instance_uuid == server_uuid)
            .values(volume_id=device.volume_id, device=device)
        )


def remove(session: Session, server_uuid: str, device_uuid: str) -> bool:
    """Forget a device; false when it was not there."""
    c = DEVICES.c
    statement = sa.delete(DEVICES).where(c.uuid == device_uuid, c.instance_uuid == server_uuid)
    return affected(session, statement) == 1


def servers_of_volume(session: Session, volume_id: str) -> list[str]:
    """Return the servers that have a volume."""
    query = sa.select(DEVICES.c.instance_uuid).where(DEVICES.c.volume_id == volume_id)
    return list(session.scalars(query.distinct()))
