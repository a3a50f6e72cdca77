"""What a server takes of resources as placement counts them: for scheduling, and for limits."""

import math
import re
from collections.abc import Iterable

from oslo_log import log as logging
from oslo_utils import strutils

from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.request_spec import RequestSpec

LOG = logging.getLogger(__name__)

# resources:VCPU, resources1:VGPU, trait_FPGA:CUSTOM_X; the suffix names a granular group
KEY = re.compile(r'(resources|trait)([a-zA-Z0-9_-]{0,64}):([A-Z0-9_]+)')


def total(spec: RequestSpec) -> dict[str, int]:
    """Return all that one server asks for, by resource class."""
    found = from_flavor(spec)
    granular: dict[str, int] = {}
    for key, value in spec.flavor.extra_specs.items():
        match = KEY.fullmatch(key)
        if match is None or match[1] != 'resources' or not value.isdecimal():
            continue
        if match[2]:
            granular[match[3]] = granular.get(match[3], 0) + int(value)
        else:
            found[match[3]] = int(value)
    for name, amount in granular.items():
        found[name] = found.get(name, 0) + amount
    return {name: amount for name, amount in found.items() if amount}


def prop(spec: RequestSpec, name: str) -> str | None:
    """Return extra spec ``hw:name`` of the flavor, else property ``hw_name`` of the image."""
    value = spec.flavor.extra_specs.get(f'hw:{name}')
    if value is None:
        value = spec.image.properties.get(f'hw_{name}')
    return None if value is None else str(value)


def flag(spec: RequestSpec, name: str) -> bool:
    """Return ``prop`` as a boolean."""
    return strutils.bool_from_string(prop(spec, name), default=False)


def from_flavor(spec: RequestSpec, pinned: bool = True) -> dict[str, int]:
    """Return what the flavor's own columns and properties ask for, whatever overrides it."""
    flavor = spec.flavor
    root = 0 if spec.is_bfv else flavor.root_gb
    wanted = {
        'MEMORY_MB': flavor.memory_mb,
        'DISK_GB': root + flavor.ephemeral_gb + math.ceil(flavor.swap / 1024),
        **(_cpus(spec) if pinned else {'VCPU': flavor.vcpus}),
    }
    if flag(spec, 'mem_encryption'):
        wanted['MEM_ENCRYPTION_CONTEXT'] = 1
    for label in filter(None, flavor.extra_specs.get('hw:pmem', '').split(',')):
        name = f'CUSTOM_PMEM_NAMESPACE_{label.strip().upper()}'
        wanted[name] = wanted.get(name, 0) + 1
    return wanted


def _cpus(spec: RequestSpec) -> dict[str, int]:
    """Split the CPUs into dedicated (PCPU) and shared ones (VCPU)."""
    flavor, policy = spec.flavor, prop(spec, 'cpu_policy')
    dedicated = {'dedicated': flavor.vcpus, 'mixed': _dedicated_of_mixed(flavor)}.get(
        policy or '', 0
    )
    shared = flavor.vcpus - dedicated
    if dedicated and flavor.extra_specs.get('hw:emulator_threads_policy') == 'isolate':
        dedicated += 1
    return {'VCPU': shared, 'PCPU': dedicated}


def _dedicated_of_mixed(flavor: Flavor) -> int:
    """Count the dedicated CPUs of ``hw:cpu_dedicated_mask`` or of the realtime ones."""
    specs = flavor.extra_specs
    mask = specs.get('hw:cpu_dedicated_mask') or specs.get('hw:cpu_realtime_mask', '')
    included: set[int] = set()
    excluded: set[int] = set()
    for part in filter(None, (word.strip() for word in mask.split(','))):
        target = excluded if part.startswith('^') else included
        first, _, last = part.lstrip('^').partition('-')
        try:
            target.update(range(int(first), int(last or first) + 1))
        except ValueError:
            LOG.warning('Flavor %s: CPU mask %s is malformed', flavor.flavorid, mask)
            return 0
    everything: Iterable[int] = range(flavor.vcpus)
    return len((included or set(everything)) - excluded) if mask else 0
