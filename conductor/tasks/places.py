"""Where guests have the devices that they are told of."""

from typing import Any

from sqlalchemy.orm import Session

from kilonova.common.metadata import devices
from kilonova.common.objects.place import Places
from kilonova.common.objects.server import Server
from kilonova.db import block_devices


def store(
    session: Session, server: Server, places: Places, changes: dict[str, Any]
) -> dict[str, Any]:
    """Write what a host has found out; returns what changes in the server's record.

    The server's row is locked: ports and volumes may have come or gone meanwhile.
    """
    vifs = changes.get('network_info', server.network_info)
    tagged = [device for device in block_devices.of_server(session, server.uuid) if device.tag]
    devices.put(places, vifs, tagged)
    block_devices.save(session, server.uuid, tagged)
    return {'network_info': vifs} if any(vif.is_told for vif in vifs) else {}
