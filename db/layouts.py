"""Which nodes, processors, pages and devices of hosts are taken: by servers, and by open moves."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects.layout import Layout
from kilonova.common.objects.migration import Move
from kilonova.common.objects.numa import NumaTopology
from kilonova.common.objects.pci import PciDevice
from kilonova.db import server_migrations, types
from kilonova.db.models.migrations import MigrationRow
from kilonova.db.models.servers import InstanceRow, table_of

INSTANCES, MIGRATIONS = table_of(InstanceRow), table_of(MigrationRow)

_decode_topology = msgspec.json.Decoder(NumaTopology).decode
_decode_devices = msgspec.json.Decoder(list[PciDevice]).decode
_decode_move = msgspec.json.Decoder(Move).decode

Node = tuple[str, str]


class Taken(msgspec.Struct):
    """What is taken of one node; ``guests`` by server and layout, so that nothing counts twice."""

    guests: dict[tuple[str, bytes], NumaTopology] = {}
    devices: set[str] = set()

    def add(self, uuid: str, layout: Layout) -> None:
        if layout.topology is not None:
            key = (uuid, msgspec.json.encode(layout.topology))
            self.guests[key] = layout.topology
        self.devices |= {device.address for device in layout.devices}


def taken(session: Session, hosts: Iterable[str] | None = None) -> dict[Node, Taken]:
    """Return what is taken, by (host, node): two statements."""
    names = None if hosts is None else list(hosts)
    found: dict[Node, Taken] = {}
    for host, node, uuid, layout in [*_of_servers(session, names), *_of_moves(session, names)]:
        found.setdefault((host, node), Taken()).add(uuid, layout)
    return found


def _of_servers(session: Session, hosts: list[str] | None) -> list[tuple[str, str, str, Layout]]:
    c = INSTANCES.c
    query = sa.select(
        c.host,
        c.node,
        c.uuid,
        sa.type_coerce(c.numa_topology, types.LongText),
        sa.type_coerce(c.pci_devices, types.LongText),
    ).where(
        c.deleted == 0,
        c.host.is_not(None),
        sa.or_(c.numa_topology.is_not(None), c.pci_devices.is_not(None)),
    )
    if hosts is not None:
        query = query.where(c.host.in_(hosts))
    return [
        (host, node or '', uuid, _layout(topology, devices))
        for host, node, uuid, topology, devices in session.execute(query)
    ]


def _layout(topology: str | None, devices: str | None) -> Layout:
    return Layout(
        topology=_decode_topology(topology) if topology else None,
        devices=_decode_devices(devices) if devices else [],
    )


def _of_moves(session: Session, hosts: list[str] | None) -> list[tuple[str, str, str, Layout]]:
    """Until a move is over, both its hosts have something of the server."""
    c = MIGRATIONS.c
    move = sa.type_coerce(c.move, types.LongText)
    query = sa.select(
        c.instance_uuid, c.source_compute, c.source_node, c.dest_compute, c.dest_node, move
    ).where(c.status.in_(server_migrations.OPEN), move.like('%_layout%'))
    if hosts is not None:
        query = query.where(sa.or_(c.source_compute.in_(hosts), c.dest_compute.in_(hosts)))
    found: list[tuple[str, str, str, Layout]] = []
    for uuid, source, source_node, target, target_node, text in session.execute(query):
        way = _decode_move(text)
        sides: tuple[tuple[Any, Any, Layout | None], ...] = (
            (source, source_node, way.old_layout),
            (target, target_node, way.new_layout),
        )
        found += [(host, node or '', uuid, layout) for host, node, layout in sides if layout]
    return found


def columns(layout: Layout | None) -> dict[str, Any]:
    """Return a layout as columns of a server."""
    layout = layout or Layout()
    return {'numa_topology': layout.topology, 'pci_devices': layout.devices or None}
