"""From flavor and image to the question that placement is asked.

Resources and traits of the flavor's extra specs come as they are (``resources:VCPU``,
``trait1:CUSTOM_X``); other properties that mean a resource or a trait are translated in
``traits``.
"""

from typing import NamedTuple
from urllib import parse

import msgspec
from oslo_log import log as logging

from kilonova.common import resources
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler import traits

LOG = logging.getLogger(__name__)

DISABLED = 'COMPUTE_STATUS_DISABLED'
# Cyborg and operators keep providers below our nodes, too; every provider of ours has had this
# trait since the first release, so nobody has to be waited for.
OWNER = 'OWNER_NOVA'


class Group(msgspec.Struct):
    """Resources that one provider has to give (the group '' may be spread over the tree)."""

    resources: dict[str, int] = {}
    required: set[str] = set()
    forbidden: set[str] = set()
    any_of: list[list[str]] = []
    """Of each list one trait."""
    in_tree: str | None = None
    member_of: list[frozenset[str]] = []

    def traits(self) -> list[str]:
        """Return the values of ``required``."""
        plain = [*sorted(self.required), *(f'!{name}' for name in sorted(self.forbidden))]
        return ([','.join(plain)] if plain else []) + [
            'in:' + ','.join(sorted(names)) for names in self.any_of
        ]

    def traits_named(self) -> set[str]:
        return self.required | self.forbidden | {name for names in self.any_of for name in names}


class Demand(NamedTuple):
    """One thing that is asked for, as operators read it and as placement is asked for it alone."""

    text: str
    query: dict[str, str]


class ResourceRequest(msgspec.Struct):
    """One question to placement."""

    groups: dict[str, Group]
    group_policy: str | None = None
    root: Group = msgspec.field(default_factory=Group)
    """Traits of the compute node itself."""
    member_of: list[frozenset[str]] = []
    """Aggregates: the host is in one of each set."""
    not_member_of: frozenset[str] = frozenset()
    in_tree: str | None = None
    same_subtree: list[frozenset[str]] = []
    """Groups whose providers are below one that is among them."""

    def is_empty(self) -> bool:
        return not any(group.resources for group in self.groups.values())

    def query(self, limit: int) -> str:
        """Return the query string for ``GET /allocation_candidates``."""
        pairs: list[tuple[str, str]] = []
        for suffix, group in sorted(self.groups.items()):
            if group.resources:
                pairs.append((f'resources{suffix}', _amounts(group.resources)))
            pairs += [(f'required{suffix}', text) for text in group.traits()]
            pairs += [(f'member_of{suffix}', _any_of(uuids)) for uuids in group.member_of]
            if group.in_tree:
                pairs.append((f'in_tree{suffix}', group.in_tree))
        pairs += [('member_of', _any_of(uuids)) for uuids in self.member_of]
        if self.not_member_of:
            pairs.append(('member_of', '!' + _any_of(self.not_member_of)))
        # root_required takes no alternatives
        pairs += [('root_required', text) for text in self.root.traits()[:1]]
        pairs += [('same_subtree', ','.join(sorted(names))) for names in self.same_subtree]
        if self.in_tree:
            pairs.append(('in_tree', self.in_tree))
        if self._numbered() > 1:
            pairs.append(('group_policy', self.group_policy or 'none'))
        pairs.append(('limit', str(limit)))
        return parse.urlencode(pairs, safe=':,!')

    def demands(self) -> list[Demand]:
        """Return all that is asked for, one by one."""
        found = []
        for _, group in sorted(self.groups.items()):
            found += [
                Demand(f'{name} {amount}', {'resources': f'{name}:{amount}'})
                for name, amount in sorted(group.resources.items())
            ]
            found += _of_traits(group)
        found += _of_traits(self.root)
        found += [
            Demand('membership in the required aggregates', {'member_of': _any_of(uuids)})
            for uuids in self.member_of
        ]
        if self.not_member_of:
            no_member = {'member_of': '!' + _any_of(self.not_member_of)}
            found.append(Demand('no membership in isolated aggregates', no_member))
        return found

    def describe(self) -> str:
        """Return what is asked for, as an operator reads it."""
        return ', '.join(demand.text for demand in self.demands())

    def _numbered(self) -> int:
        return sum(bool(suffix and group.resources) for suffix, group in self.groups.items())


def _of_traits(group: Group) -> list[Demand]:
    """Leave out what goes without saying: that a host is ours and not disabled."""
    required = sorted(group.required - {OWNER})
    forbidden = sorted(group.forbidden - {DISABLED})
    return [Demand(f'trait {name}', {'required': name}) for name in required] + [
        Demand(f'no trait {name}', {'required': f'!{name}'}) for name in forbidden
    ]


def _any_of(uuids: frozenset[str]) -> str:
    return 'in:' + ','.join(sorted(uuids))


def _amounts(resources: dict[str, int]) -> str:
    return ','.join(f'{name}:{amount}' for name, amount in sorted(resources.items()))


def has_unpinned_form(spec: RequestSpec) -> bool:
    """Tell whether hosts that know no PCPU may serve a request for dedicated CPUs."""
    asked = any(key.endswith(':PCPU') for key in spec.flavor.extra_specs)
    return resources.prop(spec, 'cpu_policy') == 'dedicated' and not asked


def from_spec(spec: RequestSpec, pinned: bool = True) -> ResourceRequest:
    """Return what flavor and image ask for; without ``pinned``, VCPU instead of PCPU."""
    extra_specs = spec.flavor.extra_specs
    found, overridden = _from_extra_specs(extra_specs)
    main = found.setdefault('', Group())
    for name, amount in resources.from_flavor(spec, pinned).items():
        if amount and name not in overridden:
            main.resources.setdefault(name, amount)
    _cpu_thread_policy(spec, main)
    main.required |= traits.required_by_image(spec.image.properties)
    root = Group(required=traits.translate(spec), forbidden={DISABLED})
    policy = extra_specs.get('group_policy')
    if policy is not None and policy not in ('none', 'isolate'):
        LOG.warning('Flavor %s: group_policy %s is unknown', spec.flavor.flavorid, policy)
        policy = None
    # required= of the main group needs resources in it, so a request of granular groups alone asks the root
    for group in found.values():
        if group.resources:
            group.required.add(OWNER)
    if not main.resources:
        root.required |= main.required
        root.forbidden |= main.forbidden
        del found['']
    return ResourceRequest(groups=found, group_policy=policy, root=root)


def _from_extra_specs(extra_specs: dict[str, str]) -> tuple[dict[str, Group], set[str]]:
    """Return the groups, and the classes of the main group that ``resources:`` sets (maybe to 0)."""
    groups: dict[str, Group] = {}
    overridden = set()
    for key, value in extra_specs.items():
        match = resources.KEY.fullmatch(key)
        if match is None:
            continue
        kind, suffix, name = match.groups()
        if kind == 'trait':
            _add_trait(groups.setdefault(suffix, Group()), name, value)
            continue
        try:
            amount = int(value)
        except ValueError:
            LOG.warning('Extra spec %s=%s is not a number and is ignored', key, value)
            continue
        if not suffix:
            overridden.add(name)
        if amount > 0:
            groups.setdefault(suffix, Group()).resources[name] = amount
    return groups, overridden


def _add_trait(group: Group, name: str, value: str) -> None:
    if value == 'required':
        group.required.add(name)
    elif value == 'forbidden':
        group.forbidden.add(name)
    elif value != 'preferred':  # which is a weigher's business
        LOG.warning('Extra spec trait:%s is neither required nor forbidden but %s', name, value)


def _cpu_thread_policy(spec: RequestSpec, main: Group) -> None:
    if 'PCPU' not in main.resources:
        return
    policy = resources.prop(spec, 'cpu_thread_policy')
    if policy == 'isolate':
        main.forbidden.add('HW_CPU_HYPERTHREADING')
    elif policy == 'require':
        main.required.add('HW_CPU_HYPERTHREADING')
