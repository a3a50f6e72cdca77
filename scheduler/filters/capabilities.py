"""Extra specs that a host's own figures have to satisfy."""

from typing import Any

from kilonova.common import resources
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters import attributes, operators
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask, column

_MISSING = object()


class ComputeCapabilitiesFilter(Filter):
    """``capabilities:cpu_info:vendor``, unscoped keys that a host has, ``hw:maxphysaddr_bits``."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if not _may_concern(spec):
            return None
        return column((not self._unmet(hosts, i, spec) for i in alive), bool)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'without ' + ', '.join(self._unmet(hosts, i, spec))

    @staticmethod
    def _unmet(hosts: Hosts, i: int, spec: RequestSpec) -> list[str]:
        """Return the keys that the host does not satisfy."""
        known = attributes.of_host(hosts, i)
        unmet = []
        for key, wanted in spec.flavor.extra_specs.items():
            scope = key.split(':')
            if len(scope) == 1 and key not in known:
                continue
            if len(scope) > 1 and scope.pop(0) != 'capabilities':
                continue
            value = _look_up(known, scope)
            if value is _MISSING or not operators.match(str(value), wanted):
                unmet.append(key)
        bits = resources.prop(spec, 'maxphysaddr_bits')
        if bits is not None and not _has_address_bits(known['cpu_info'], bits):
            unmet.append('hw:maxphysaddr_bits')
        return unmet


def _may_concern(spec: RequestSpec) -> bool:
    return resources.prop(spec, 'maxphysaddr_bits') is not None or any(
        ':' not in key or key.startswith('capabilities:') for key in spec.flavor.extra_specs
    )


def _look_up(known: dict[str, Any], scope: list[str]) -> Any:
    value: Any = known
    for name in scope:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return _MISSING if value is None else value


def _has_address_bits(cpu_info: dict[str, Any], wanted: str) -> bool:
    bits = _look_up(cpu_info, ['maxphysaddr', 'bits'])
    return bits is not _MISSING and operators.match(str(bits), f'>= {wanted}')
