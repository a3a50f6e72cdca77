"""The operation that makes a server: a host is chosen, told to build, and perhaps another one."""

from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.fitting.numa import Misfit
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.network import Networks
from kilonova.common.objects.operation import BuildRequest, Fence
from kilonova.common.objects.request_spec import Selection
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import choose, faults, groups, port_profiles, ports
from kilonova.conductor.tasks import layouts as laying
from kilonova.conductor.tasks.build_failure import BuildFailure
from kilonova.conductor.tasks.work import Work, decode, encode
from kilonova.db import block_devices, hosts, layouts, operations, servers, types
from kilonova.db.engine import retry
from kilonova.db.operations import Operation

LOG = logging.getLogger(__name__)

SCHEDULE_EVENT = 'conductor_schedule_and_build_instances'


class Build:
    """The task ``create``."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine
        self._chooser, self._groups = choose.Chooser(parts), groups.Groups(parts)
        self._failure = BuildFailure(parts, engine)
        engine.tasks['create'] = self

    def start(self, works: Sequence[Work]) -> None:
        """Go on with servers that have just been accepted, all of one request."""
        self._engine.run([work.operation.id for work in works], self._schedule_or_wait, works)

    def resume(self, operation: Operation) -> None:
        work = self._load(operation)
        if work is None:
            self._engine.drop(operation)
            return
        if not self._is_here(work):
            return
        if operation.step == operations.HOST and work.server.host:
            if self._send_again(work):
                return
            self._leave_host(work, work.server.host, 'The host is down.')
        else:
            self._schedule([work])

    def _is_here(self, work: Work) -> bool:
        """Tell whether the server is this cell's; it may have been on its way."""
        parts = self._parts
        if parts.fleet is None or not parts.several_cells or parts.is_cell0:
            return True
        assert parts.cell_id is not None
        return parts.fleet.is_here(work.server.uuid, parts.cell_id)

    def arrived(self, work: Work) -> None:
        """Go on with a server that comes from cell0, and is recorded on its host."""
        self._engine.send(work.operation, self._cast, work)

    def _load(self, operation: Operation) -> Work | None:
        try:
            with self._parts.cell_db.reader() as session:
                server = servers.get(session, operation.instance_uuid)
        except exception.InstanceNotFound:
            return None
        if (server.operation, server.attempt) != (operation.id, operation.attempt):
            return None
        payload = decode(operation.payload)
        return Work(faults.restore(payload.context), operation, server, payload)

    # -- choosing a host

    def _schedule_or_wait(self, works: Sequence[Work]) -> None:
        try:
            self._schedule(works)
        except exception.ServiceUnavailable as error:
            for work in works:
                self._engine.put_down(work.operation, error.message)

    def _schedule(self, works: Sequence[Work]) -> None:
        crowded = self._try(works)
        while crowded:
            work = crowded.pop()
            groups.avoid(work.payload)
            LOG.info('%s: %s', work.server.uuid, work.payload.reasons[-1])
            try:
                crowded += self._try([work])
            except exception.ServiceUnavailable as error:
                # The others have their hosts; this one alone waits.
                self._engine.put_down(work.operation, error.message)

    def _try(self, works: Sequence[Work]) -> list[Work]:
        """Choose hosts; returns the servers that by now are not welcome there any more."""
        try:
            chosen = self._chooser.choose(works)
        except exception.ServiceUnavailable:
            raise
        except exception.NoValidHost as error:
            for work in works:
                self._no_host(work, error)
        except exception.KilonovaError as error:
            for work in works:
                self._failure.end(work, error.message, f'{type(error).__name__} while scheduling')
        else:
            return self._place(works, chosen)
        return []

    # -- telling it

    def _place(self, works: Sequence[Work], chosen: Sequence[Sequence[Selection]]) -> list[Work]:
        for work, (selection, *alternates) in zip(works, chosen, strict=True):
            work.payload.selection, work.payload.alternates = selection, alternates
        if self._parts.is_cell0:
            return [work for work in works if self._send_away(work)]
        placed, crowded = self._record_hosts(works)
        for work in works:
            if work.operation.id in placed:
                self._engine.send(work.operation, self._cast, work)
            elif work.operation.id not in crowded:
                self._give_back(work)
        return [work for work in works if work.operation.id in crowded]

    def _send_away(self, work: Work) -> bool:
        """Hand a server to the cell of its host; true when its group does not want it there."""
        selection, fleet = work.payload.selection, self._parts.fleet
        assert selection is not None and fleet is not None
        if selection.cell_id is None:
            raise RuntimeError(f'the scheduler did not say in which cell {selection.host} is')

        def place(api: Session, session: Session) -> bool:
            guard = self._groups.guard(api, work.payload.spec.group)
            if guard and not guard.admits(session, work.server.uuid, selection.host):
                return False
            self._record_host(session, work, selection)
            servers.number(session, [work.server])  # it has another one here
            operations.start_events(session, state.CREATE_EVENT, [(work.operation, selection.host)])
            return True

        try:
            moved = fleet.move(work, selection.cell_id, place)
        except exception.ServiceUnavailable as error:
            self._engine.put_down(work.operation, error.message)
            return False
        if moved is None:
            self._give_back(work)
        return moved is False

    @retry
    def _record_hosts(self, works: Sequence[Work]) -> tuple[set[str], set[str]]:
        """Write down who goes where.

        Returns the operations that are still ours, and those whose group does not want the
        server on the host any more.
        """
        started: list[tuple[Operation, str]] = []
        decisions: list[str | None] = []
        crowded: set[str] = set()
        group = self._groups.held(works[0].payload.spec.group)
        with group as guard, self._parts.cell_db.transaction() as session:
            for work in works:
                selection = work.payload.selection
                assert selection is not None
                if guard and not guard.admits(session, work.server.uuid, selection.host):
                    crowded.add(work.operation.id)
                    continue
                try:
                    if self._record_host(session, work, selection):
                        started.append((work.operation, selection.host))
                        decisions.append(selection.decision or None)
                except Misfit as error:
                    work.payload.misfit = str(error)
                    crowded.add(work.operation.id)
            if started:
                operations.start_events(session, state.CREATE_EVENT, started, decisions)
        return {operation.id for operation, _ in started}, crowded

    def _record_host(self, session: Session, work: Work, selection: Selection) -> bool:
        """Write down where one server goes; false when the fence is old.  Raises Misfit."""
        layout = self._lay_out(session, work.server, selection)
        values: dict[str, Any] = {
            **layouts.columns(layout),
            'host': selection.host,
            'node': selection.node,
            'launched_on': selection.host,
            'availability_zone': selection.availability_zone,
            'task_state': _first_task(work.payload.networks),
        }
        if not servers.update(session, work.server.uuid, work.operation.fence, **values):
            return False
        for name, value in values.items():
            setattr(work.server, name, value)
        work.server.pci_devices = layout.devices if layout else []
        operations.update(
            session,
            work.operation.id,
            step=operations.HOST,
            owner=operations.COMPUTE + selection.host,
            lease_until=self._parts.lease(),
            payload=encode(work.payload),
        )
        return True

    def _lay_out(self, session: Session, server: Server, to: Selection) -> Layout | None:
        conf = self._parts.conf
        return laying.find(session, conf, server.uuid, server.flavor, server.image, to)

    def _cast(self, work: Work) -> None:
        payload, host = work.payload, work.server.host
        assert host is not None
        work.server.attempt = work.operation.attempt
        request = BuildRequest(
            server=work.server,
            fence=work.operation.fence,
            networks=port_profiles.into(
                payload.networks, port_profiles.of(payload.selection, work.server.pci_devices)
            ),
            personality=payload.personality,
            admin_password=payload.admin_password,
        )
        self._parts.compute.at(host).build_server(work.context, request)

    @retry
    def _send_again(self, work: Work) -> bool:
        """Tell the same host once more; false when it is down."""
        host = work.server.host
        assert host is not None
        with self._parts.cell_db.transaction() as session:
            if not self._parts.is_up(session, host):
                return False
            mine = operations.move(
                session,
                work.operation,
                owner=operations.COMPUTE + host,
                lease_until=self._parts.lease(),
            )
        if mine:
            self._engine.send(work.operation, self._cast, work)
        return True

    def _give_back(self, work: Work) -> None:
        """The fence was lost while a host was being claimed.

        A takeover of this same operation has claimed anew, and that claim stays.
        """
        with self._parts.cell_db.reader() as session:
            operation = operations.get(session, work.operation.id)
        # An operation that is not here any more went to the server's cell, with a claim.
        if operation is None or operation.state == operations.RUNNING:
            return
        try:
            self._parts.placement.delete_allocations(work.server.uuid)
        except exception.KilonovaError as error:  # what superseded us sees to it later
            LOG.warning('Claim of server %s stays for now: %s', work.server.uuid, error)

    # -- what the host says

    @retry
    def progress(
        self, uuid: str, fence: Fence, task_state: str, network_info: Sequence[Any] | None
    ) -> bool:
        values: dict[str, Any] = {'task_state': task_state}
        if network_info is not None:
            values['network_info'] = list(network_info)
        with self._parts.cell_db.transaction() as session:
            return servers.update(session, uuid, fence, **values)

    @retry
    def devices(self, uuid: str, fence: Fence, found: Sequence[BlockDevice]) -> bool:
        """A host has made or connected volumes."""
        with self._parts.cell_db.transaction() as session:
            if not servers.update(session, uuid, fence):
                return False
            block_devices.save(session, uuid, found)
        return True

    @retry
    def finished(self, uuid: str, fence: Fence, values: dict[str, Any]) -> bool:
        """The guest runs; true also for a report that comes again."""
        with self._parts.cell_db.transaction() as session:
            if 'system_metadata' in values:
                known = servers.get(session, uuid, lock=True, parts=False).system_metadata
                values['system_metadata'] = known | values['system_metadata']
            if not servers.update(
                session,
                uuid,
                fence,
                **values,
                vm_state=state.ACTIVE,
                task_state=None,
                launched_at=types.utcnow(),
                operation=None,
            ):
                return operations.is_done(session, fence)
            operation = operations.get(session, fence.operation)
            assert operation is not None
            operations.finish(session, fence.operation)
            selection = decode(operation.payload).selection
            if selection is not None:
                hosts.note_builds(session, selection.host, failed=False)
        if fence.attempt > 1 and selection is not None:
            self._confirm_claim(uuid, operation, selection)
        return True

    def _confirm_claim(self, uuid: str, operation: Operation, selection: Selection) -> None:
        """See that the claim is the chosen host's.

        A scheduler that answered nobody may have claimed another host after this one.
        """
        project, user = operation.project_id or '', operation.user_id or ''
        try:
            self._parts.placement.claim(uuid, selection.allocations, project, user)
        except exception.KilonovaError as error:
            LOG.error('The claim of server %s could not be confirmed: %s', uuid, error)

    def failed(
        self, uuid: str, fence: Fence, reason: str, details: str | None, again: bool, code: int
    ) -> None:
        """A host has given up; it has removed all that it had made."""
        with self._parts.cell_db.reader() as session:
            operation = operations.get(session, fence.operation)
        if operation is None or operation.attempt != fence.attempt or not operation.payload:
            return
        work = self._load(operation)
        if work is None or not work.server.host:
            return
        host, step = work.server.host, work.server.task_state or 'spawning'
        where = f'{step} failed on host {host}: {details or reason}'
        if again:
            self._leave_host(work, host, reason, where)
            return
        if not self._failure.end(work, reason, where, code=code, host=host):
            return
        self._note_failure(host)

    @retry
    def _note_failure(self, host: str) -> None:
        with self._parts.cell_db.transaction() as session:
            hosts.note_builds(session, host, failed=True)

    def _leave_host(self, work: Work, host: str, reason: str, details: str | None = None) -> None:
        """Go on to another host, or end when there were enough."""
        payload = work.payload
        payload.failed[host] = reason
        payload.reasons.append(details or f'Building on host {host}: {reason}')
        if len(payload.failed) >= self._parts.conf.scheduler.max_attempts:
            self._failure.exhausted(work)
            return
        if details is None:
            # The host did not say that it has cleaned up.
            ports.clean(self._parts.neutron, work.server)
        moved = self._back_to_scheduling(work, host, details)
        if moved is not None:
            self._engine.run([moved.operation.id], self._schedule_or_wait, [moved])

    @retry
    def _back_to_scheduling(self, work: Work, host: str, details: str | None) -> Work | None:
        new = work.operation.attempt + 1
        server, operation = work.server, work.operation
        with self._parts.cell_db.transaction() as session:
            if not servers.update(
                session,
                server.uuid,
                operation.fence,
                attempt=new,
                **layouts.columns(None),
                host=None,
                node=None,
                launched_on=None,
                availability_zone=work.payload.spec.availability_zone,
                network_info=[],
                task_state='scheduling',
            ):
                return None
            operations.update(
                session,
                operation.id,
                attempt=new,
                step=operations.SCHEDULING,
                owner=self._engine.worker,
                lease_until=self._parts.lease(),
                payload=encode(work.payload),
            )
            operations.finish_events(session, operation.id, 'Error', details)
            hosts.note_builds(session, host, failed=True)
            operation = operations.get(session, operation.id) or operation
            server = servers.get(session, server.uuid)
        return Work(work.context, operation, server, work.payload)

    # -- the bad end

    def _no_host(self, work: Work, error: exception.NoValidHost) -> None:
        if work.payload.failed:
            self._failure.exhausted(work, error.message)
            return
        claimed = work.operation.attempt > 1 or work.payload.selection is not None
        details = '\n'.join([*work.payload.reasons, error.message])
        self._failure.end(
            work, faults.NO_VALID_HOST, details, claimed=claimed, event=SCHEDULE_EVENT
        )

    def give_up(self, operation: Operation, reason: str) -> None:
        work = self._load(operation)
        if work is None:
            return
        where = 'scheduling' if operation.step == operations.SCHEDULING else 'building'
        details = f'{where} was given up after {operation.attempt} attempts: {reason}'
        if work.server.host:
            try:
                ports.clean(self._parts.neutron, work.server)
            except exception.KilonovaError as error:  # deleting the server tries again
                details += f' Ports may be left: {error}'
        self._failure.end(work, reason, details, host=work.server.host)


def _first_task(networks: Networks) -> str:
    return 'spawning' if networks.mode == 'none' else 'networking'
