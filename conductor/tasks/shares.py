"""Attaching shares to servers, and detaching them.

These operations do not own the server: several may go on beside one another and beside a
start.  The host does one thing at a time for a server, and letting it in is idempotent, so
whichever comes first, the server ends with its shares.
"""

from typing import Any

import msgspec
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import share as share_words
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import ATTACHING, DETACHING, Share
from kilonova.common.objects.work import ACCESS_TO, AllowShare, DenyShare, WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import accept, faults
from kilonova.db import operations, servers, shares
from kilonova.db.engine import retry
from kilonova.db.operations import Operation

LOG = logging.getLogger(__name__)
ATTACH, DETACH = 'attach_share', 'detach_share'


class Payload(msgspec.Struct, kw_only=True):
    context: dict[str, Any]
    share: Share


_decode = msgspec.json.Decoder(Payload).decode


class ServerShares:
    """Endpoint, and the tasks."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine
        for action in (ATTACH, DETACH):
            engine.tasks[action] = self

    def attach_share(self, context: Ctx, uuid: str, share: Share) -> Share:
        server, operation = self._accept_attach(context, uuid, share)
        self._begin(server, operation)
        return share

    def detach_share(self, context: Ctx, uuid: str, share_id: str) -> None:
        accepted = self._accept_detach(context, uuid, share_id)
        if accepted is not None:
            self._begin(*accepted)

    @retry
    def get_share_users(self, context: Ctx, share_id: str, host: str) -> list[str]:
        with self._parts.cell_db.reader() as session:
            return shares.users(session, share_id, host)

    @retry
    def _accept_attach(self, context: Ctx, uuid: str, share: Share) -> tuple[Server, Operation]:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True)
            state.check(context, server, state.RULES[ATTACH])
            for other in server.shares:
                if share.share_id == other.share_id or share.tag == other.tag:
                    raise exception.ShareMappingAlreadyExists(
                        share_id=share.share_id, tag=share.tag
                    )
            shares.add(session, uuid, share)
            return server, self._record(session, context, server, ATTACH, share)

    @retry
    def _accept_detach(
        self, context: Ctx, uuid: str, share_id: str
    ) -> tuple[Server, Operation] | None:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True)
            found = [one for one in server.shares if one.share_id == share_id]
            if not found:
                raise exception.ShareNotFound(share_id=share_id)
            state.check(context, server, state.RULES[DETACH])
            if found[0].status == DETACHING:
                return None
            found[0].status = DETACHING
            shares.keep(session, found[0])
            return server, self._record(session, context, server, DETACH, found[0])

    def _record(
        self, session: Session, context: Ctx, server: Server, key: str, share: Share
    ) -> Operation:
        rule, payload = state.RULES[key], Payload(context=faults.keep(context), share=share)
        text = msgspec.json.encode(payload).decode()
        operation = accept.new(
            context, server, rule, text, self._engine.worker, self._parts.lease()
        )
        assert server.host is not None
        if self._parts.is_up(session, server.host):
            operation.step = operations.HOST
            operation.owner = f'{operations.COMPUTE}{server.host}'
        operations.add(session, [operation])
        operations.start_events(session, rule.event, [(operation, server.host)])
        return operation

    def _begin(self, server: Server, operation: Operation) -> None:
        if operation.step == operations.HOST:
            self._send(server, operation)
        else:
            self._engine.run([operation.id], self._wait_for_host, server, operation)

    def _send(self, server: Server, operation: Operation) -> None:
        payload = _decode(operation.payload)
        work = AllowShare if operation.action == ATTACH else DenyShare
        assert server.host is not None
        self._engine.send(
            operation,
            self._parts.compute.at(server.host).perform,
            faults.restore(payload.context),
            server,
            operation.fence,
            work(payload.share),
        )

    def _wait_for_host(self, server: Server, operation: Operation) -> None:
        self._engine.put_down(operation, faults.HOST_DOWN % server.host)

    # -- taken over

    def resume(self, operation: Operation) -> None:
        server = self._to_host(operation)
        if server is None:
            self._engine.drop(operation)
        elif operation.step == operations.HOST:
            self._send(server, operation)
        else:
            self._wait_for_host(server, operation)

    @retry
    def _to_host(self, operation: Operation) -> Server | None:
        """Return the server while it is there; the step becomes ``local`` when its host is down."""
        try:
            with self._parts.cell_db.transaction() as session:
                server = servers.get(session, operation.instance_uuid, lock=True)
                operation.step = operations.LOCAL
                if server.host is not None and self._parts.is_up(session, server.host):
                    operation.step = operations.HOST
                    operations.move(
                        session,
                        operation,
                        step=operations.HOST,
                        owner=operations.COMPUTE + server.host,
                        lease_until=self._parts.lease(),
                    )
                return server
        except exception.InstanceNotFound:
            return None

    def give_up(self, operation: Operation, reason: str) -> None:
        result = WorkResult(error=reason, details=reason)
        try:
            self._end(operation, result)
        except exception.InstanceNotFound:
            self._engine.drop(operation)

    # -- the end

    def finished(self, operation: Operation, server: Server, result: WorkResult) -> bool:
        """The host reports."""
        return self._end(operation, result)

    @retry
    def _end(self, operation: Operation, result: WorkResult) -> bool:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, operation.instance_uuid, lock=True)
            now = operations.get(session, operation.id)
            if now is None or (now.state, now.attempt) != (operations.RUNNING, operation.attempt):
                return False
            ours = _decode(now.payload).share.uuid
            for share in server.shares:
                if share.uuid == ours:
                    _settle(session, share, now.action, result)
            outcome = operations.DONE if result.error is None else operations.FAILED
            operations.finish(session, now.id, outcome, result.error, details=result.details)
        return True


def _settle(session: Session, share: Share, action: str, result: WorkResult) -> None:
    if result.error is None and action == DETACH:
        shares.remove(session, share)
        return
    if result.error is not None:
        LOG.warning('%s of share %s failed: %s', action, share.share_id, result.error)
        share.status = share_words.ERROR
    elif share.status == ATTACHING:  # a start may have been faster
        share.status = share_words.INACTIVE
    share.access_to = str(result.values.get(ACCESS_TO, share.access_to))
    shares.keep(session, share)


def power_changed(session: Session, server: Server, running: bool) -> None:
    """Note, in the transaction that ends a start or stop, whether the guest uses its shares."""
    status = share_words.ACTIVE if running else share_words.INACTIVE
    for share in server.shares:
        if share.status not in (DETACHING, share_words.ERROR, status):
            share.status = status
            shares.keep(session, share)
