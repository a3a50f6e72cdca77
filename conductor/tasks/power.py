"""The operations start, stop and reboot."""

from typing import Any

import msgspec

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import accept, faults
from kilonova.db import operations, servers
from kilonova.db.engine import retry
from kilonova.db.operations import Operation

ACTIONS = ('start', 'stop', 'reboot')


class Payload(msgspec.Struct, kw_only=True):
    """``rule``: key of ``state.RULES``; ``kind``: of a reboot."""

    context: dict[str, Any]
    rule: str
    kind: str = ''


_decode = msgspec.json.Decoder(Payload).decode


class Power:
    """The tasks ``start``, ``stop`` and ``reboot``: the host does it, or it is refused."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine
        for action in ACTIONS:
            engine.tasks[action] = self

    def accept(self, context: Ctx, uuid: str, key: str, kind: str = '') -> None:
        """Begin an action; ``key`` is one of ``state.RULES``."""
        payload = Payload(context=faults.keep(context), rule=key, kind=kind)
        server, operation = self._accept(context, uuid, payload)
        if operation.step == operations.HOST:
            self._send(context, server, operation, payload)
        else:
            self._engine.run([operation.id], self.give_up, operation, _down(server))

    @retry
    def _accept(self, context: Ctx, uuid: str, payload: Payload) -> tuple[Server, Operation]:
        rule = state.RULES[payload.rule]
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True)
            state.check(context, server, rule)
            if server.operation is not None:
                # A hard reboot is let in while another power action hangs.
                operations.supersede(session, server.operation, self._parts.lease())
            text = msgspec.json.encode(payload).decode()
            operation = accept.accept(
                self._parts, self._engine, session, context, server, rule, text
            )
        return server, operation

    def _send(self, context: Ctx, server: Server, operation: Operation, payload: Payload) -> None:
        what = f'{operation.action} of {server.uuid}'
        self._engine.send(what, self._cast, context, server, operation, payload)

    def _cast(self, context: Ctx, server: Server, operation: Operation, payload: Payload) -> None:
        assert server.host is not None
        host = self._parts.compute.at(server.host)
        if operation.action == 'start':
            host.start_server(context, server, operation.fence)
        elif operation.action == 'stop':
            host.stop_server(context, server, operation.fence, self._timeout(server))
        else:
            host.reboot_server(context, server, operation.fence, payload.kind)

    def _timeout(self, server: Server) -> int:
        wanted = str(server.image.properties.get('os_shutdown_timeout', ''))
        return int(wanted) if wanted.isdecimal() else int(self._parts.conf.shutdown_timeout)

    def resume(self, operation: Operation) -> None:
        server = self._to_host(operation)
        if server is None:
            self._engine.drop(operation)
            return
        if operation.step == operations.HOST:
            payload = _decode(operation.payload)
            self._send(faults.restore(payload.context), server, operation, payload)
        else:
            self.give_up(operation, _down(server))

    @retry
    def _to_host(self, operation: Operation) -> Server | None:
        """Return the server while it is ours; the step becomes ``local`` when its host is down."""
        try:
            with self._parts.cell_db.transaction() as session:
                server = servers.get(session, operation.instance_uuid)
                if (server.operation, server.attempt) != (operation.id, operation.attempt):
                    return None
                if server.host is None or not self._parts.is_up(session, server.host):
                    operation.step = operations.LOCAL
                    return server
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
        self.finished(operation.instance_uuid, operation.fence, None, reason, None)

    @retry
    def finished(
        self,
        uuid: str,
        fence: Fence,
        power_state: int | None,
        error: str | None,
        details: str | None,
    ) -> bool:
        """End an action; with ``error`` the server stays what it was."""
        with self._parts.cell_db.transaction() as session:
            operation = operations.get(session, fence.operation)
            if operation is None or operation.attempt != fence.attempt:
                return False
            if operation.state != operations.RUNNING:
                return operation.state != operations.SUPERSEDED  # the report comes again
            rule = state.RULES[_decode(operation.payload).rule]
            values: dict[str, Any] = {'task_state': None, 'operation': None}
            if power_state is not None:
                values['power_state'] = power_state
            if error is None:
                values['vm_state'] = rule.vm_state
            else:
                owner = operation.owner or ''
                at_host = owner.startswith(operations.COMPUTE)
                host = owner.removeprefix(operations.COMPUTE) if at_host else None
                where = f'{operation.action} on host {host}' if host else operation.action
                details = f'{where}: {details or error}'
                values['fault'] = faults.make(error, details, host=host)
            if not servers.update(session, uuid, fence, **values):
                return False
            outcome = operations.DONE if error is None else operations.FAILED
            operations.finish(session, fence.operation, outcome, error, details=details)
        return True


def _down(server: Server) -> str:
    return faults.HOST_DOWN % server.host
