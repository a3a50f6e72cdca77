"""What a server holds in placement for a port that comes or goes while the server is there.

A claim and a release are two phases each: one reads what the server holds and says what it is
to hold, the other one writes that.  So whoever takes the operation over counts no port twice.
"""

from collections.abc import Callable
from urllib import parse

from kilonova.common import exception
from kilonova.common.clients.placement import Allocations, ClaimRefused, Resources
from kilonova.common.objects import work
from kilonova.common.objects.network import VIF
from kilonova.common.objects.request_spec import PortGroup
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import layouts, port_requests
from kilonova.conductor.tasks.phases import Job, Phase
from kilonova.conductor.tasks.simple import SimplePayload

CONFLICT = 409


class PortPayload(SimplePayload, kw_only=True):
    """``taken``: what the port takes; ``held`` and ``wanted``: what the server held and is to hold."""

    groups: list[PortGroup] = []
    same_subtree: list[list[str]] = []
    taken: Resources = {}
    held: Allocations | None = None
    wanted: Resources = {}


PortJob = Job[PortPayload]
PortPhases = tuple[Phase[PortPayload], ...]


class PortClaims:
    """The phases; all are left out for a port that asks for nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def claim(self) -> PortPhases:
        """Before a port is attached: find its providers on the server's host, and take of them."""
        find, write = 'find_resources', 'claim_resources'
        return (
            Phase(name=find, run=self._find, when=lambda job: bool(job.payload.groups)),
            Phase(
                name=write,
                run=self._write,
                when=lambda job: bool(job.payload.groups),
                instead=_again(find),
            ),
        )

    def learn(self) -> PortPhases:
        """Before a port is detached, and maybe deleted: see what it has taken."""
        return (Phase(name='learn_resources', run=self._learn, when=_has_allocation),)

    def release(self) -> PortPhases:
        """Give back what was taken."""
        look, write = 'look_at_resources', 'release_resources'
        return (
            Phase(name=look, run=self._look, when=_has_taken),
            Phase(name=write, run=self._write, when=_has_taken, instead=_again(look)),
        )

    def _find(self, job: PortJob) -> None:
        payload, server = job.payload, job.server
        assert isinstance(payload.work, work.AttachInterface)
        held = self._parts.placement.get_allocations(server.uuid)
        with self._parts.cell_db.reader() as session:
            root = layouts.node_uuid(session, server)
        # A server that holds nothing is being deleted: nobody would give its claim back.
        if root is None or held.consumer_generation is None:
            raise exception.InterfaceAttachResourceAllocationFailed(instance_uuid=server.uuid)
        query = _query(payload.groups, payload.same_subtree, root)
        found = self._parts.placement.get_candidates(query).allocation_requests
        if not found:
            raise exception.InterfaceAttachResourceAllocationFailed(instance_uuid=server.uuid)
        providers = {group.id: found[0].mappings[group.id][0] for group in payload.groups}
        payload.work.request.profile['allocation'] = providers
        payload.taken, payload.held = found[0].allocations, held
        payload.wanted = _sum(held.allocations, payload.taken, 1)

    def _learn(self, job: PortJob) -> None:
        vif = _vif(job)
        assert vif is not None
        providers = vif.profile['allocation']
        for port in self._parts.neutron.find('ports', id=[vif.id]):
            for group in port_requests.groups_of(port):
                if group.id in providers:
                    part = {providers[group.id]: {'resources': group.resources}}
                    job.payload.taken = _sum(job.payload.taken, part, 1)

    def _look(self, job: PortJob) -> None:
        payload = job.payload
        payload.held = self._parts.placement.get_allocations(job.server.uuid)
        payload.wanted = _sum(payload.held.allocations, payload.taken, -1)

    def _write(self, job: PortJob) -> None:
        payload, uuid = job.payload, job.server.uuid
        assert payload.held is not None
        if payload.wanted == payload.held.allocations:
            return  # a server that was deleted meanwhile holds nothing any more
        try:
            self._parts.placement.exchange(uuid, payload.held, payload.wanted)
        except ClaimRefused as error:
            raise exception.InterfaceAttachResourceAllocationFailed(instance_uuid=uuid) from error


def _again(name: str) -> Callable[[PortJob, WorkResult], str | None]:
    def instead(_job: PortJob, result: WorkResult) -> str | None:
        return name if result.code == CONFLICT else None

    return instead


def _has_taken(job: PortJob) -> bool:
    return bool(job.payload.taken)


def _vif(job: PortJob) -> VIF | None:
    wanted = job.payload.work
    assert isinstance(wanted, work.DetachInterface)
    return next((vif for vif in job.server.network_info if vif.id == wanted.port_id), None)


def _has_allocation(job: PortJob) -> bool:
    vif = _vif(job)
    return vif is not None and bool(vif.profile.get('allocation'))


def _query(groups: list[PortGroup], same_subtree: list[list[str]], root: str) -> str:
    """Ask for one way to serve the groups below a compute node (placement, 1.36)."""
    pairs = [('limit', '1'), ('group_policy', 'none')]
    for group in groups:
        amounts = (f'{name}:{amount}' for name, amount in sorted(group.resources.items()))
        pairs += [(f'resources{group.id}', ','.join(amounts)), (f'in_tree{group.id}', root)]
        if group.required:
            pairs.append((f'required{group.id}', ','.join(group.required)))
    pairs += [('same_subtree', ','.join(ids)) for ids in same_subtree]
    return parse.urlencode(pairs, safe=':,!')


def _sum(held: Resources, part: Resources, sign: int) -> Resources:
    """Return what is held and, or without, a part; nothing is held twice, or less than not at all."""
    found = {uuid: dict(one['resources']) for uuid, one in held.items()}
    for uuid, one in part.items():
        resources = found.setdefault(uuid, {})
        for name, amount in one['resources'].items():
            resources[name] = resources.get(name, 0) + sign * amount
    left = {
        uuid: {name: amount for name, amount in resources.items() if amount > 0}
        for uuid, resources in found.items()
    }
    return {uuid: {'resources': resources} for uuid, resources in left.items() if resources}
