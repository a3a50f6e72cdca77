"""Candidates from the host table alone, for requests that need nothing more.

Plain is what every host can answer for by its own report: processors, memory and disk of the
node itself, traits that its host decides on, and aggregates that the conductor mirrors.
Anything else is placement's to say; and the claim always is.
"""

import time
from collections.abc import Iterable

import numpy as np

from kilonova.common.clients.placement import Placement, Resources
from kilonova.scheduler.amounts import CLASSES
from kilonova.scheduler.hosts import Hosts, Indices, Mask
from kilonova.scheduler.request import DISABLED, ResourceRequest

TOLD = ('COMPUTE_', 'HW_CPU_', 'OWNER_NOVA')
"""Traits that begin so are set and removed by the hosts alone."""

SHARES = {'required': 'MISC_SHARES_VIA_AGGREGATE'}
SHARING_MEMORY = 600.0
"""Seconds for which it is believed that no provider shares what it has."""


def is_plain(asked: ResourceRequest, hosts: Hosts) -> bool:
    """Tell whether the table knows all that placement would go by."""
    if set(asked.groups) != {''} or asked.same_subtree or not len(hosts):
        return False
    main = asked.groups['']
    traits = {*main.traits_named(), *asked.root.traits_named()}
    aggregates = {uuid for uuids in asked.member_of for uuid in uuids} | asked.not_member_of
    return (
        set(main.resources) <= set(CLASSES)
        and all(name.startswith(TOLD) for name in traits)
        and aggregates <= hosts.aggregates.keys()
        and bool(hosts.amounts.known[hosts.enabled].all())
        and (asked.in_tree is None or asked.in_tree in hosts.index)
    )


class Sharing:
    """Whether any provider shares its inventory with others: then no request is plain."""

    def __init__(self, client: Placement) -> None:
        self._client, self._until, self._known = client, float('-inf'), False

    def is_used(self) -> bool:
        now = time.monotonic()
        if now > self._until:
            self._known = bool(self._client.find_providers(SHARES))
            self._until = now + SHARING_MEMORY
        return self._known


class TableOffer:
    """What the table offers for one plain request: see ``offer.Offer``."""

    unknown: frozenset[str] = frozenset()

    def __init__(self, hosts: Hosts, asked: ResourceRequest) -> None:
        self._hosts, self._resources = hosts, asked.groups[''].resources
        self._refused: set[int] = set()
        self._found = np.flatnonzero(_candidates(hosts, asked))

    def hosts(self) -> Indices:
        return self._found

    def ways(self, i: int) -> list[Resources]:
        if i in self._refused or not self.fitting(np.array([i]))[0]:
            return []
        return [{self._hosts.states[i].node.uuid: {'resources': self._resources}}]

    def fitting(self, alive: Indices) -> Mask:
        """Return which hosts still have room, with what this scheduler has given away since."""
        return self._hosts.amounts.fitting(self._resources, alive)

    def provider_of(self, way: Resources, group: str) -> str | None:
        return None

    def take(self, way: Resources) -> None:
        """The table itself counts what is taken."""

    def withdraw(self, i: int, way: Resources) -> None:
        self._refused.add(i)

    @property
    def refusals(self) -> int:
        return len(self._refused)


def _candidates(hosts: Hosts, asked: ResourceRequest) -> Mask:
    main, root = asked.groups[''], asked.root
    mask = hosts.amounts.fitting(main.resources)
    required = main.required | root.required
    forbidden = (main.forbidden | root.forbidden) - {DISABLED}
    if DISABLED in main.forbidden | root.forbidden:
        mask &= hosts.enabled
    for anyone in (*([name] for name in sorted(required)), *main.any_of, *root.any_of):
        mask &= _with_trait(hosts, anyone)
    for name in forbidden:
        mask &= ~_with_trait(hosts, [name])
    for uuids in asked.member_of:
        mask &= hosts.in_any(uuids)
    if asked.not_member_of:
        mask &= ~hosts.in_any(asked.not_member_of)
    if asked.in_tree:
        only = np.zeros(len(hosts), dtype=bool)
        only[hosts.index[asked.in_tree]] = True
        mask &= only
    return mask


def _with_trait(hosts: Hosts, names: Iterable[str]) -> Mask:
    """Return which hosts have one of some traits."""
    wanted = frozenset(names)

    def make() -> Mask:
        own = hosts.amounts.traits_of
        return np.array([not wanted.isdisjoint(own(i)) for i in range(len(hosts))], dtype=bool)

    mask: Mask = hosts.remember(('traits', wanted), make)
    return mask


def why(hosts: Hosts, i: int, asked: ResourceRequest) -> str:
    """Say what a host that was not offered lacks, as far as the table knows."""
    if asked.in_tree and hosts.index[asked.in_tree] != i:
        return 'not the requested one'
    if not all(hosts.in_any(uuids)[i] for uuids in asked.member_of):
        return 'not in the required aggregates'
    if asked.not_member_of and hosts.in_any(asked.not_member_of)[i]:
        return 'in an isolated aggregate'
    if not hosts.amounts.known[i]:
        return f'without {asked.describe()}'
    missing = []
    for group in asked.groups.values():
        amounts = group.resources.items()
        missing += [
            f'{name} {amount}'
            for name, amount in amounts
            if name in CLASSES and not hosts.amounts.fitting({name: amount}, np.array([i]))[0]
        ]
    traits = hosts.amounts.traits_of(i)
    wanted = asked.root.required.union(*(group.required for group in asked.groups.values()))
    missing += [f'trait {name}' for name in sorted(wanted - traits)]
    if not missing and not hosts.enabled[i]:
        return 'disabled'
    unwanted = asked.root.forbidden.union(*(group.forbidden for group in asked.groups.values()))
    if not missing and (there := sorted((unwanted - {DISABLED}) & traits)):
        return f'with trait {", ".join(there)}'
    return f'without {", ".join(missing) or asked.describe()}'
