"""The operation that removes a server, wherever what is left of it may be."""

import msgspec
import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.block_device import volumes
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.common.volumes import release
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import accept, faults, ports, share_access, shelved
from kilonova.conductor.tasks.debts import Debts
from kilonova.db import operations, server_groups, server_migrations, servers
from kilonova.db.engine import retry
from kilonova.db.models.api import InstanceMapping, RequestSpecRow
from kilonova.db.operations import Operation

LOG = logging.getLogger(__name__)
RULE = state.RULES['delete']
NO_ANSWER = 'The host has not answered in time.'


class Delete:
    """The task ``delete``; it supersedes whatever else works on the server.

    What fails is tried again for a long time: a server must not need a second request to go.
    """

    def __init__(self, parts: Parts, engine: Engine, debts: Debts) -> None:
        self._parts, self._engine, self._debts = parts, engine, debts
        engine.tasks['delete'] = self
        engine.patient.add('delete')

    def accept(self, context: Ctx, uuid: str) -> None:
        """Begin to delete; when that has begun already, end the pause it may be in."""
        accepted = self._accept(context, uuid)
        if accepted is None:
            self._engine.wake()
            return
        server, operation = accepted
        if operation.step == operations.HOST:
            self._engine.send(operation, self._cast, context, server, operation)
        else:
            self._engine.run([operation.id], self._without_host_or_wait, server, operation)

    @retry
    def _accept(self, context: Ctx, uuid: str) -> tuple[Server, Operation] | None:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True)
            state.check(context, server, RULE)
            if server.operation is not None:
                running = operations.get(session, server.operation)
                if running is not None and running.state == operations.RUNNING:
                    if running.action == 'delete':
                        operations.hasten(session, running.id)
                        return None
                    self._engine.supersede(session, server)
            self.close_moves(session, server)
            payload = _payload(context, server)
            operation = accept.accept(
                self._parts, self._engine, session, context, server, RULE, payload
            )
        return server, operation

    def close_moves(self, session: Session, server: Server) -> None:
        """A resize is confirmed by the end of its server."""
        if server.vm_state == state.RESIZED:
            self._debts.close(session, server)

    def resume(self, operation: Operation) -> None:
        server = self._load(operation)
        if server is None:
            self._engine.drop(operation)
            return
        if server.host and self._take_to_host(server.host, operation):
            context = faults.decode(operation.payload)
            self._engine.send(operation, self._cast, context, server, operation)
        else:
            self._without_host(server, operation)

    def _load(self, operation: Operation) -> Server | None:
        """Return the server while the operation may still work on it."""
        try:
            with self._parts.cell_db.reader() as session:
                server = servers.get(session, operation.instance_uuid)
        except exception.InstanceNotFound:
            return None
        mine = (server.operation, server.attempt) == (operation.id, operation.attempt)
        return server if mine else None

    @retry
    def _take_to_host(self, host: str, operation: Operation) -> bool:
        """Let the host work on it; false when it is down."""
        with self._parts.cell_db.transaction() as session:
            if not self._parts.is_up(session, host):
                return False
            operations.move(
                session,
                operation,
                step=operations.HOST,
                owner=operations.COMPUTE + host,
                lease_until=self._parts.lease(),
            )
            operations.finish_events(session, operation.id, 'Error', NO_ANSWER)
            operations.start_events(session, RULE.event, [(operation, host)])
        return True

    def _cast(self, context: Ctx, server: Server, operation: Operation) -> None:
        assert server.host is not None
        self._parts.compute.at(server.host).terminate_server(context, server, operation.fence)

    # -- without a host: one that is down removes the guest when it is back

    def _without_host_or_wait(self, server: Server, operation: Operation) -> None:
        try:
            self._without_host(server, operation)
        except exception.ServiceUnavailable as error:
            self._engine.put_down(operation, error.message)

    def _without_host(self, server: Server, operation: Operation) -> None:
        ports.clean(self._parts.neutron, server)
        if volumes(server.block_devices):
            release(self._parts.volumes(None), server.uuid, server.block_devices)
        share_access.take_back(self._parts, server)
        self._end(server.uuid, operation.fence, operation.payload)

    # -- the end

    def finished(self, uuid: str, fence: Fence) -> bool:
        """The host has nothing of the server any more."""
        with self._parts.cell_db.reader() as session:
            owes = server_migrations.owes(operations.OPERATIONS.c.instance_uuid)
            operation, moved = operations.get_with(session, fence.operation, owes)
        if operation is None or operation.attempt != fence.attempt:
            return False
        if operation.state != operations.RUNNING:
            return operation.state == operations.DONE
        return self._end(uuid, fence, operation.payload, moved)

    def _end(self, uuid: str, fence: Fence, payload: str, moved: bool = True) -> bool:
        """Allocation, quota and record end, in an order that may be begun anew at any point.

        ``moved``: its moves may hold something, too.
        """
        try:
            self._parts.placement.delete_allocations(uuid)
            if moved:
                self._debts.pay(uuid)
            released = True
        except exception.ServiceUnavailable as error:
            LOG.warning('Allocations of deleted server %s stay for now: %s', uuid, error)
            released = False
        image_id = msgspec.json.decode(payload).get(shelved.IMAGE)  # a context has no such key
        if image_id is not None:
            shelved.discard_image(self._parts.conf, uuid, image_id)
        self._end_mapping(uuid)
        return self._end_record(uuid, fence, released)

    @retry
    def _end_mapping(self, uuid: str) -> None:
        with self._parts.api_db.transaction() as session:
            session.execute(
                sa.update(InstanceMapping)
                .where(InstanceMapping.instance_uuid == uuid)
                .values(queued_for_delete=True)
            )
            session.execute(sa.delete(RequestSpecRow).where(RequestSpecRow.instance_uuid == uuid))
            server_groups.leave(session, [uuid])

    @retry
    def _end_record(self, uuid: str, fence: Fence, released: bool) -> bool:
        pause = self._parts.conf.operations.sweep_interval
        with self._parts.cell_db.transaction() as session:
            if not servers.mark_deleted(session, uuid, fence):
                return False
            operations.finish(
                session,
                fence.operation,
                release_at=None if released else self._parts.later(pause),
            )
        return True

    # -- the bad end

    def failed(self, uuid: str, fence: Fence, reason: str, details: str | None) -> None:
        """Something is left at the host; it will be told again."""
        with self._parts.cell_db.reader() as session:
            operation = operations.get(session, fence.operation)
        # A repeated report finds no owner: the first one has begun the pause.
        if operation is None or operation.fence != fence or operation.owner is None:
            return
        where = f'Deleting on host {operation.owner.removeprefix(operations.COMPUTE)}'
        self._engine.put_down(operation, reason, f'{where}: {details or reason}')

    @retry
    def give_up(self, operation: Operation, reason: str) -> None:
        uuid, fence = operation.instance_uuid, operation.fence
        details = f'Deleting was given up after {operation.attempt} attempts: {reason}'
        fault = faults.make(f'Deleting the instance failed: {reason}', details)
        with self._parts.cell_db.transaction() as session:
            if servers.update(
                session,
                uuid,
                fence,
                vm_state=state.ERROR,
                task_state=None,
                fault=fault,
                operation=None,
            ):
                operations.finish(
                    session, fence.operation, operations.FAILED, fault.message, details=details
                )


def _payload(context: Ctx, server: Server) -> str:
    """Return the context, and which image goes with the server."""
    image_id = server.system_metadata.get(shelved.IMAGE)
    if image_id is None:
        return faults.encode(context)
    return msgspec.json.encode({**faults.keep(context), shelved.IMAGE: image_id}).decode()
