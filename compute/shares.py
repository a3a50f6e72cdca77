"""Shares of the file system service: this host is let in, and guests get them when they start."""

import time
from typing import Any

from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import manila
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import DETACHING, ERROR, Share
from kilonova.common.objects.work import ACCESS_TO, WorkResult
from kilonova.compute.host import Host
from kilonova.compute.work import Job

LOG = logging.getLogger(__name__)
POLL = 0.2
CEPHX_USER = 'nova'


def attach(job: Job) -> WorkResult:
    """Have Manila let this host in, and keep the share from being deleted."""
    share = job.work.share
    let_in(job.host, share)
    return WorkResult(values={ACCESS_TO: _identity(job.host.conf, share)[1]})


def detach(job: Job) -> None:
    _give_back(job.host, job.server, job.work.share)


def mount_all(host: Host, server: Server) -> None:
    """Give a guest that is about to start its shares.  Raises when one cannot be had."""
    for share in server.shares:
        if share.status not in (DETACHING, ERROR):
            let_in(host, share)
            host.driver.mount_share(server, share)


def unmount_all(host: Host, server: Server) -> None:
    """Take the shares away from a guest that is off."""
    for share in server.shares:
        host.driver.unmount_share(server, share)


def release_all(host: Host, server: Server) -> None:
    """Give all back for a server that is deleted; what fails is left, and said in the log."""
    for share in server.shares:
        try:
            _give_back(host, server, share)
        except exception.KilonovaError as error:
            LOG.error('Share %s of server %s stays open: %s', share.share_id, server.uuid, error)


def let_in(host: Host, share: Share) -> None:
    """Nothing happens when this host may use the share already."""
    if not host.driver.supports_shares:
        raise exception.NotSupported(feature='shares')
    client, (kind, to) = manila.client(host.conf), _identity(host.conf, share)
    with _alone(share):
        client.lock(share.share_id, share.lock_reason)
        if client.find_access(share.share_id, kind, to) is None:
            client.allow(share.share_id, kind, to)
        _wait_until_active(client, host.conf, share)


def _wait_until_active(client: manila.Manila, conf: cfg.ConfigOpts, share: Share) -> None:
    deadline = time.monotonic() + conf.manila.share_apply_policy_timeout
    while True:
        access: dict[str, Any] = client.find_access(share.share_id, *_identity(conf, share)) or {}
        state = access.get('state', 'gone')
        if state == 'active':
            return
        if state in ('error', 'gone') or time.monotonic() > deadline:
            reason = f'the rule is in state {state}'
            raise exception.ShareAccessError(share_id=share.share_id, reason=reason)
        time.sleep(POLL)


def _give_back(host: Host, server: Server, share: Share) -> None:
    if host.driver.supports_shares:
        host.driver.unmount_share(server, share)
    client = manila.client(host.conf)
    with _alone(share):
        users = host.conductor.get_share_users(ctx.get_admin_context(), share.share_id, host.name)
        if not set(users) - {server.uuid}:
            access = client.find_access(share.share_id, *_identity(host.conf, share))
            if access is not None:
                client.deny(share.share_id, access['id'])
        client.unlock(share.share_id, share.lock_reason)


def _identity(conf: cfg.ConfigOpts, share: Share) -> tuple[str, str]:
    """Return as whom this host uses a share."""
    return share.access_type, CEPHX_USER if share.is_ceph else conf.my_shared_fs_storage_ip


def _alone(share: Share) -> Any:
    """One at a time for a share: another server's leave must not take away what is just given."""
    return lockutils.lock(f'share-{share.share_id}')
