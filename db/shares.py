"""Shares of servers: a row each, read with the server (``db.servers.add_parts``)."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects.share import DETACHING, Share
from kilonova.db import types
from kilonova.db.models.servers import InstanceRow, ShareMappingRow, table_of

INSTANCES = table_of(InstanceRow)
SHARES = table_of(ShareMappingRow)

decode = msgspec.json.Decoder(Share).decode


def add(session: Session, server_uuid: str, share: Share) -> None:
    """Keep a new one; the server's row has to be locked."""
    session.execute(
        sa.insert(SHARES).values(
            uuid=share.uuid,
            instance_uuid=server_uuid,
            share_id=share.share_id,
            tag=share.tag,
            mapping=share,
        )
    )


def keep(session: Session, share: Share) -> None:
    """Write what has changed; the server's row has to be locked."""
    session.execute(sa.update(SHARES).where(SHARES.c.uuid == share.uuid).values(mapping=share))


def remove(session: Session, share: Share) -> None:
    """Forget one; the server's row has to be locked."""
    session.execute(sa.delete(SHARES).where(SHARES.c.uuid == share.uuid))


def users(session: Session, share_id: str, host: str) -> list[str]:
    """Return the servers of a host that have a share and are not about to lose it.

    Of a share in Ceph those of all hosts, as all are one user there.
    """
    mapping = sa.type_coerce(SHARES.c.mapping, types.LongText)
    query = (
        sa.select(SHARES.c.instance_uuid, INSTANCES.c.host, mapping)
        .join(INSTANCES, INSTANCES.c.uuid == SHARES.c.instance_uuid)
        .where(SHARES.c.share_id == share_id, INSTANCES.c.deleted == 0)
    )
    found = ((uuid, there, decode(text)) for uuid, there, text in session.execute(query))
    return [
        uuid
        for uuid, there, share in found
        if share.status != DETACHING and (there == host or share.is_ceph)
    ]
