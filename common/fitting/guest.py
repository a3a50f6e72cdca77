"""What a flavor and an image ask for of processors and memory: nodes, pages, pinning.

Keys, rules and messages are Nova's.  A guest that asks for nothing of it has no topology.
"""

import re
from typing import Any

import msgspec
from oslo_utils import strutils

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image

SHARED, DEDICATED, MIXED = 'shared', 'dedicated', 'mixed'
POLICIES = (DEDICATED, SHARED, MIXED)
THREAD_POLICIES = ('prefer', 'isolate', 'require')
EMULATOR_POLICIES = ('share', 'isolate')
_NUMBERED = re.compile(r'hw[:_]numa_(?:cpus|mem)\.(\d+)')
_UNIT = re.compile(r'(\d+)([kKMGT]i?)?(b|bit|B)?')
_KIB = {'': 1, 'K': 1, 'M': 1024, 'G': 1024**2, 'T': 1024**3}


class GuestNode(msgspec.Struct):
    """``dedicated`` of its processors need one of the host's own each."""

    vcpus: list[int]
    memory_mb: int
    dedicated: list[int] = []


class Wish(msgspec.Struct, kw_only=True):
    """``page_size`` is 'large', 'small', 'any', KiB, or None: whatever the host uses."""

    nodes: list[GuestNode]
    page_size: str | int | None = None
    thread_policy: str | None = None
    isolates_emulator: bool = False

    def describe(self) -> str:
        """Say for operators what is special about the guest."""
        words = [f'{len(self.nodes)} NUMA node{"s" if len(self.nodes) > 1 else ""}']
        dedicated = sum(len(node.dedicated) for node in self.nodes)
        if dedicated:
            words.append(f'{dedicated} dedicated CPUs')
        if self.page_size not in (None, 'small'):
            size = self.page_size
            words.append(f'{size} KiB pages' if isinstance(size, int) else f'{size} pages')
        return ', '.join(words)


def wish_of(flavor: Flavor, image: Image) -> Wish | None:
    """Return what a guest asks for; None: it may be anywhere.  Raises InvalidTopology."""
    asked = _Asked(flavor, image)
    policy, threads = asked.policy(), asked.thread_policy()
    dedicated = asked.dedicated(policy, threads)
    pages = asked.page_size()
    count = asked.node_count()
    if count is None and pages is None and not dedicated:
        return None
    nodes = asked.nodes(count or 1) if count else [_whole(flavor)]
    for node in nodes:
        node.dedicated = [cpu for cpu in node.vcpus if cpu in dedicated]
    return Wish(
        nodes=nodes,
        page_size=pages,
        thread_policy=threads,
        isolates_emulator=asked.emulator_policy() == 'isolate',
    )


def cpu_set(text: str, everything: int) -> set[int]:
    """Read ``0-3,^2``; exclusions alone are taken from ``everything``.  Raises ValueError."""
    included: set[int] = set()
    excluded: set[int] = set()
    for part in filter(None, (word.strip() for word in text.split(','))):
        target = excluded if part.startswith('^') else included
        first, _, last = part.lstrip('^').partition('-')
        if int(last or first) < int(first):
            raise ValueError(text)
        target.update(range(int(first), int(last or first) + 1))
    return (included or set(range(everything))) - excluded


def _whole(flavor: Flavor) -> GuestNode:
    return GuestNode(list(range(flavor.vcpus)), flavor.memory_mb)


def _bad(message: str) -> exception.InvalidTopology:
    return exception.InvalidTopology(message)


class _Asked:
    """The extra specs and properties of one request."""

    def __init__(self, flavor: Flavor, image: Image) -> None:
        self.flavor, self.specs, self.properties = flavor, flavor.extra_specs, image.properties

    def _pair(self, name: str) -> tuple[str | None, str | None]:
        found = self.properties.get(f'hw_{name}')
        return self.specs.get(f'hw:{name}'), None if found is None else str(found)

    # -- processors

    def policy(self) -> str:
        ours, its = self._pair('cpu_policy')
        for source, value in (('flavor extra specs', ours), ('image', its)):
            if value is not None and value not in POLICIES:
                raise _bad(
                    f"CPU policy requested from '{source}' is invalid, given: '{value}', "
                    f"available: '{', '.join(POLICIES)}'."
                )
        amounts = self._amounts()
        if (ours or its) and amounts:
            raise _bad(
                "It is not possible to use the 'resources:VCPU' or 'resources:PCPU' extra specs in "
                "combination with the 'hw:cpu_policy' extra spec or 'hw_cpu_policy' image metadata "
                'property; use one or the other'
            )
        if amounts:
            return self._policy_of(amounts)
        if ours == SHARED and its in (DEDICATED, MIXED) or (
            ours == DEDICATED and its in (SHARED, MIXED)
        ) or (ours == MIXED and its in (SHARED, DEDICATED)):  # fmt: skip
            raise _bad(
                "Image property 'hw_cpu_policy' is not permitted to override CPU pinning policy "
                'set against the flavor'
            )
        return ours or its or SHARED

    def _amounts(self) -> dict[str, int]:
        """Return VCPU and PCPU of ``resources`` extra specs."""
        found: dict[str, int] = {}
        for key, value in self.specs.items():
            match = re.fullmatch(r'resources[a-zA-Z0-9_-]*:(VCPU|PCPU)', key)
            if match:
                try:
                    found[match[1]] = found.get(match[1], 0) + int(value)
                except ValueError:
                    raise _bad(f"Extra spec '{key}' must be a number, not '{value}'.") from None
        return {name: amount for name, amount in found.items() if amount}

    def _policy_of(self, amounts: dict[str, int]) -> str:
        if len(amounts) > 1:
            raise _bad(
                "It is not possible to specify both 'resources:VCPU' and 'resources:PCPU' extra "
                'specs; use one or the other'
            )
        if 'VCPU' in amounts:
            return SHARED
        more = 1 if self.emulator_policy() == 'isolate' else 0
        if amounts['PCPU'] != self.flavor.vcpus + more:
            raise _bad(
                "There is a mismatch between the number of PCPUs requested via 'resourcesNN:PCPU' "
                f'and the flavor; you must allocate exactly {self.flavor.vcpus + more} PCPUs'
            )
        return DEDICATED

    def thread_policy(self) -> str | None:
        ours, its = self._pair('cpu_thread_policy')
        for source, value in (('flavor extra specs', ours), ('image', its)):
            if value is not None and value not in THREAD_POLICIES:
                raise _bad(
                    f"CPU thread policy requested from '{source}' is invalid, given: '{value}', "
                    f"available: '{', '.join(THREAD_POLICIES)}'."
                )
        if ours not in (None, 'prefer') and its is not None and its != ours:
            raise _bad(
                "Image property 'hw_cpu_thread_policy' is not permitted to override CPU thread "
                'pinning policy set against the flavor'
            )
        policy = its if ours in (None, 'prefer') and its else ours
        trait = self._hyperthreading()
        if trait and policy:
            raise _bad(
                "It is not possible to use the 'trait:HW_CPU_HYPERTHREADING' extra spec in "
                "combination with the 'hw:cpu_thread_policy' extra spec or 'hw_cpu_thread_policy' "
                'image metadata property; use one or the other'
            )
        return {'forbidden': 'isolate', 'required': 'require'}.get(trait or '', policy)

    def _hyperthreading(self) -> str | None:
        name = 'trait:HW_CPU_HYPERTHREADING'
        return self.specs.get(name) or self.properties.get(name)

    def emulator_policy(self) -> str | None:
        value = self.specs.get('hw:emulator_threads_policy')
        if value is not None and value not in EMULATOR_POLICIES:
            raise _bad(
                f"CPU emulator threads option requested is invalid, given: '{value}', available: "
                f"'{', '.join(EMULATOR_POLICIES)}'."
            )
        return value

    def dedicated(self, policy: str, threads: str | None) -> set[int]:
        """Return the processors that are pinned, after a look at what contradicts it."""
        mask, realtime = self.specs.get('hw:cpu_dedicated_mask'), self._realtime()
        if policy == SHARED:
            # A trait says what the host is like; a thread policy would pin.
            if threads and not self._hyperthreading():
                raise _bad(
                    'Cannot set cpu thread pinning policy in a non dedicated cpu pinning policy'
                )
            if self.emulator_policy() == 'isolate':
                raise _bad(
                    'An isolated CPU emulator threads option requires a dedicated CPU policy '
                    'option.'
                )
            if realtime:
                raise _bad('Cannot set realtime policy in a non dedicated cpu pinning policy')
        if policy != MIXED:
            if mask:
                raise _bad("Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.")
            return set(range(self.flavor.vcpus)) if policy == DEDICATED else set()
        if bool(mask) == bool(realtime):
            raise _bad(
                "Dedicated CPU set can be specified from either 'hw:cpu_dedicated_mask' or "
                "'hw:cpu_realtime_mask' when using 'mixed' CPU policy. 'hw:cpu_dedicated_mask' and "
                "'hw:cpu_realtime_mask' can not be specified at the same time, or be specified "
                'with none of them.'
            )
        return self._part(mask) if mask else realtime

    def _part(self, mask: str) -> set[int]:
        found = self._set('hw:cpu_dedicated_mask', mask)
        everything = set(range(self.flavor.vcpus))
        if not found or not found < everything:
            raise _bad(
                'Mixed instance must have at least 1 pinned vCPU and 1 unpinned vCPU. See '
                "'hw:cpu_dedicated_mask'."
            )
        return found

    def _realtime(self) -> set[int]:
        flag, _ = self._pair('cpu_realtime')
        if not strutils.bool_from_string(flag, default=False):
            return set()
        ours, its = self._pair('cpu_realtime_mask')
        mask = its or ours
        everything = set(range(self.flavor.vcpus))
        found = self._set('hw:cpu_realtime_mask', mask) if mask else everything
        if found >= everything and self.emulator_policy() is None or not found:
            raise _bad(
                'Use of realtime CPUs requires either one or more non-realtime CPU(s) or offloaded '
                'emulator threads.'
            )
        return found & everything

    def _set(self, key: str, text: str) -> set[int]:
        try:
            return cpu_set(text, self.flavor.vcpus)
        except ValueError:
            raise _bad(f"'{text}' of '{key}' is no list of CPUs.") from None

    # -- memory and nodes

    def page_size(self) -> str | int | None:
        ours, its = self._pair('mem_page_size')
        if its is not None and ours is not None and ours not in ('large', 'any'):
            raise _bad(f"Page size {its} forbidden against '{ours}'")
        if its is not None and ours is None:
            raise _bad(f"Page size {its} forbidden against 'None'")
        text = its or ours
        return None if text is None else _pages(text)

    def node_count(self) -> int | None:
        ours, its = self._pair('numa_nodes')
        if ours is not None and its is not None:
            raise self._forbidden('hw_numa_nodes')
        text = ours or its
        if text is None:
            return None
        if not text.isascii() or not text.isdecimal() or int(text) < 1:
            raise _bad(
                f"The property 'numa_nodes' cannot be '{text}'. It must be a number greater than 0"
            )
        return int(text)

    @staticmethod
    def _forbidden(name: str) -> exception.InvalidTopology:
        return _bad(
            f"Image property '{name}' is not permitted to override NUMA configuration set "
            'against the flavor'
        )

    def nodes(self, count: int) -> list[GuestNode]:
        keys = [*self.specs, *self.properties]
        if any(_NUMBERED.fullmatch(key) for key in keys):
            return self._listed(count)
        flavor = self.flavor
        if flavor.vcpus % count or flavor.memory_mb % count:
            raise _bad(
                'Instance CPUs and/or memory cannot be evenly distributed across instance NUMA '
                'nodes. Explicit assignment of CPUs and memory to nodes is required'
            )
        cpus, memory = flavor.vcpus // count, flavor.memory_mb // count
        return [GuestNode(list(range(i * cpus, (i + 1) * cpus)), memory) for i in range(count)]

    def _listed(self, count: int) -> list[GuestNode]:
        nodes = []
        for i in range(count):
            cpus, memory = self._numbered('cpus', i), self._numbered('mem', i)
            if cpus is None or memory is None:
                raise _bad('CPU and memory allocation must be provided for all NUMA nodes')
            try:
                node = GuestNode(sorted(cpu_set(cpus, self.flavor.vcpus)), int(memory))
            except ValueError:
                raise _bad(f"NUMA node {i}: '{cpus}', '{memory}' cannot be read.") from None
            nodes.append(node)
        if self._numbered('cpus', count) or self._numbered('mem', count):
            raise _bad('CPU and memory allocation must be provided for all NUMA nodes')
        self._check(nodes)
        return nodes

    def _numbered(self, what: str, i: int) -> str | None:
        ours, its = self._pair(f'numa_{what}.{i}')
        if ours is not None and its is not None:
            raise self._forbidden(f'hw_numa_{what}')
        return ours if ours is not None else its

    def _check(self, nodes: list[GuestNode]) -> None:
        flavor, seen = self.flavor, set[int]()
        for node in nodes:
            for cpu in node.vcpus:
                if cpu >= flavor.vcpus:
                    raise _bad(f'CPU number {cpu} is larger than max {flavor.vcpus - 1}')
                if cpu in seen:
                    raise _bad(f'CPU number {cpu} is assigned to two nodes')
                seen.add(cpu)
        left = sorted(set(range(flavor.vcpus)) - seen)
        if left:
            raise _bad(f'CPU number {", ".join(map(str, left))} is not assigned to any node')
        total = sum(node.memory_mb for node in nodes)
        if total != flavor.memory_mb:
            raise _bad(f'{total} MB of memory assigned, but expected {flavor.memory_mb} MB')


def _pages(text: str) -> str | int:
    """Return a page size in KiB, or the word for it."""
    if text in ('large', 'small', 'any'):
        return text
    match = _UNIT.fullmatch(text.strip())
    size = 0
    if match:
        unit: Any = (match[2] or '')[:1].upper()
        size = int(match[1]) * _KIB[unit]
        if not unit and match[3]:  # plain bytes, or bits
            size = int(match[1]) // 1024 // (8 if match[3] in ('b', 'bit') else 1)
    if size <= 0:
        raise _bad(f"Invalid memory page size '{text}'")
    return size
