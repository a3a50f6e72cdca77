"""Takes back what a host that is down was given: the access to its servers' shares."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import manila
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.conductor.parts import Parts
from kilonova.db import shares
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


def take_back(parts: Parts, server: Server) -> None:
    """Shut the host of a server that is deleted out of its shares, and let those be deleted.

    What Manila refuses is left, and said in the log.  Raises FellowServiceError: it is away.
    """
    for share in server.shares:
        try:
            _take_back(parts, server, share)
        except (exception.ShareAccessError, exception.ShareLockError) as error:
            LOG.error('Share %s of server %s stays open: %s', share.share_id, server.uuid, error)


def _take_back(parts: Parts, server: Server, share: Share) -> None:
    client = manila.client(parts.conf)
    if not share.access_to:
        LOG.warning('Nobody knows who was let in to share %s', share.share_id)
    elif not _others(parts, server, share):
        access = client.find_access(share.share_id, share.access_type, share.access_to)
        if access is not None:
            client.deny(share.share_id, access['id'])
    client.unlock(share.share_id, share.lock_reason)


@retry
def _others(parts: Parts, server: Server, share: Share) -> set[str]:
    with parts.cell_db.reader() as session:
        return set(shares.users(session, share.share_id, server.host or '')) - {server.uuid}
