"""Aliases of PCI devices, and which of a host's devices serve a request."""

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import jsonschema
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.numa import HostTopology, NumaTopology
from kilonova.common.objects.pci import POLICIES, TYPES, PciDevice, PciRequest
from kilonova.common.objects.request_spec import RequestSpec

KEY = 'pci_passthrough:alias'
ALIAS = {
    'type': 'object',
    'additionalProperties': False,
    'required': ['name'],
    'properties': {
        'name': {'type': 'string', 'minLength': 1, 'maxLength': 256},
        'capability_type': {'enum': ['pci']},
        'product_id': {'type': 'string', 'pattern': '^([0-9a-fA-F]{4})$'},
        'vendor_id': {'type': 'string', 'pattern': '^([0-9a-fA-F]{4})$'},
        'device_type': {'enum': list(TYPES)},
        'numa_policy': {'enum': list(POLICIES)},
        'resource_class': {'type': 'string'},
        'traits': {'type': 'string'},
        'live_migratable': {'type': 'string'},
    },
}

# Tags of devices that requests name, and what a device without the tag is taken for.
NO_TAG = '-'
TAGS = {
    'live_migratable': '',
    'resource_class': '',
    'physical_network': NO_TAG,
    'trusted': 'false',
    'remote_managed': 'false',
}

Aliases = dict[str, PciRequest]


def aliases_of(conf: cfg.ConfigOpts) -> Aliases:
    """Return what ``[pci]alias`` defines.  Raises PciInvalidAlias."""
    return _parse(tuple(conf.pci.alias), conf.filter_scheduler.pci_in_placement)


@functools.lru_cache(maxsize=8)
def _parse(texts: tuple[str, ...], by_class: bool) -> Aliases:
    found: Aliases = {}
    for text in texts:
        try:
            entry = json.loads(text)
            jsonschema.validate(entry, ALIAS)
        except (ValueError, jsonschema.ValidationError) as error:
            reason = getattr(error, 'message', str(error))
            raise exception.PciInvalidAlias(reason=reason) from error
        _add(found, entry, by_class)
    return found


def _add(found: Aliases, entry: dict[str, Any], by_class: bool) -> None:
    name = entry.pop('name').strip()
    policy = entry.pop('numa_policy', None) or 'legacy'
    entry.pop('capability_type', None)
    if 'device_type' in entry:
        entry['dev_type'] = entry.pop('device_type')
    if not ('vendor_id' in entry and 'product_id' in entry) and not (
        by_class and 'resource_class' in entry
    ):
        raise exception.PciInvalidAlias(
            reason=f'The PCI alias(es) {name} does not have vendor_id and product_id fields set.'
        )
    known = found.setdefault(name, PciRequest(alias=name, numa_policy=policy))
    if known.numa_policy != policy:
        raise exception.PciInvalidAlias(reason=f"NUMA policy mismatch for alias '{name}'")
    if known.specs and known.specs[0].get('dev_type') != entry.get('dev_type'):
        raise exception.PciInvalidAlias(reason=f"Device type mismatch for alias '{name}'")
    if known.specs and by_class:
        raise exception.PciInvalidAlias(
            reason=f'The PCI alias(es) {name} have multiple specs but '
            '[filter_scheduler]pci_in_placement is True.'
        )
    known.specs = [*known.specs, entry]


def wanted(conf: cfg.ConfigOpts, spec: RequestSpec) -> list[PciRequest]:
    """Return what flavor, image and ports ask for.  Raises as ``requests_of``."""
    return [*requests_of(spec.flavor, spec.image, aliases_of(conf)), *spec.pci_requests]


def requests_of(flavor: Flavor, image: Image, aliases: Aliases) -> list[PciRequest]:
    """Return what ``pci_passthrough:alias`` asks for.  Raises PciAliasNotDefined, InvalidTopology."""
    text = flavor.extra_specs.get(KEY)
    if not text:
        return []
    policy = _policy(flavor, image)
    found = []
    for part in text.split(','):
        name, _, count = part.rpartition(':')
        alias = aliases.get(name.strip())
        if not count.strip().isdecimal() or not int(count):
            raise exception.InvalidTopology(f"'{text}' of '{KEY}' is not ALIAS:NUMBER.")
        if alias is None:
            raise exception.PciAliasNotDefined(alias=name.strip())
        found.append(
            PciRequest(
                count=int(count),
                specs=alias.specs,
                alias=alias.alias,
                numa_policy=policy or alias.numa_policy,
            )
        )
    return found


def _policy(flavor: Flavor, image: Image) -> str | None:
    ours = flavor.extra_specs.get('hw:pci_numa_affinity_policy')
    its = image.properties.get('hw_pci_numa_affinity_policy')
    if ours and its and ours != its:
        raise exception.InvalidTopology(
            "Image property 'hw_pci_numa_affinity_policy' is not permitted to override the "
            "'hw:pci_numa_affinity_policy' flavor extra spec."
        )
    policy: str | None = ours or its
    if policy is not None and policy not in POLICIES:
        raise exception.InvalidTopology(f"Invalid PCI NUMA affinity policy '{policy}'.")
    return policy


def free_of(devices: Iterable[PciDevice], taken: set[str]) -> list[PciDevice]:
    """Return what can be given: a function is none as long as its other side is in use."""
    known = list(devices)
    parents = {one.parent_addr for one in known if one.address in taken and one.parent_addr}
    return [
        one
        for one in known
        if one.address not in taken and one.address not in parents and one.parent_addr not in taken
    ]


def fits(device: PciDevice, spec: dict[str, str]) -> bool:
    """Tell whether a device is what one alternative of an alias describes."""
    for key, value in spec.items():
        if key == 'traits':
            if not _words(value) <= _words(device.tags.get(key, '')):
                return False
        elif key in TAGS:
            if device.tags.get(key, TAGS[key]).lower() != value.lower():
                return False
        elif str(getattr(device, key, None) or '').lower() != value.lower():
            return False
    # A physical function goes with all its virtual ones: only when named.
    return 'dev_type' in spec or device.dev_type not in ('type-PF', 'vdpa')


def _words(text: str) -> set[str]:
    return {word.strip().upper() for word in text.split(',') if word.strip()}


def choose(
    requests: Sequence[PciRequest],
    free: Sequence[PciDevice],
    host: HostTopology | None,
    nodes: Sequence[int] | None,
) -> list[PciDevice] | None:
    """Return a device for each one asked for, near to the host nodes ``nodes``; None: too few.

    Without ``nodes`` the guest is on all of them, and nearness does not count.
    """
    left, chosen = list(free), []
    for request in requests:
        for _ in range(request.count):
            found = _best(request, left, host, nodes)
            if found is None:
                return None
            chosen.append(_given(found, request))
            left = free_of([one for one in left if one is not found], {found.address})
            left = [one for one in left if one.address != found.parent_addr]
    return chosen


def _given(device: PciDevice, request: PciRequest) -> PciDevice:
    values = {name: getattr(device, name) for name in PciDevice.__struct_fields__}
    return PciDevice(**{**values, 'alias': request.alias, 'port_id': request.port_id})


def _best(
    request: PciRequest,
    left: Sequence[PciDevice],
    host: HostTopology | None,
    nodes: Sequence[int] | None,
) -> PciDevice | None:
    fitting = [one for one in left if any(fits(one, spec) for spec in request.specs)]
    if nodes is not None:
        fitting = [one for one in fitting if _is_allowed(one, request.numa_policy, host, nodes)]
    near = set(nodes or ())
    return min(fitting, key=lambda one: (one.numa_node not in near, one.address), default=None)


def _is_allowed(
    device: PciDevice, policy: str, host: HostTopology | None, nodes: Sequence[int]
) -> bool:
    if policy == 'preferred' or device.numa_node in nodes:
        return True
    if device.numa_node is None:
        return policy == 'legacy'
    if policy == 'socket' and host is not None:
        sockets = {cell.id: cell.socket for cell in host.cells}
        mine = sockets.get(device.numa_node)
        return mine is not None and mine in {sockets.get(node) for node in nodes}
    return False


def nodes_of(topology: NumaTopology | None) -> list[int] | None:
    """Return the host nodes of a guest; None for one without a topology."""
    return [node.id for node in topology.nodes] if topology else None
