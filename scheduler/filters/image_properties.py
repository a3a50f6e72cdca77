"""Architecture, hypervisor type and virtual machine mode that an image needs."""

import operator
import re
from collections.abc import Hashable

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask

_ARCHITECTURES = {
    'amd64': 'x86_64',
    'x64': 'x86_64',
    'i386': 'i686',
    'i486': 'i686',
    'i586': 'i686',
    'arm64': 'aarch64',
}
_HYPERVISORS = {'xapi': 'xen', 'powervm': 'phyp'}
_MODES = {'pv': 'xen', 'xenpv': 'xen', 'hv': 'hvm', 'baremetal': 'hvm'}
_COMPARE = {
    '>=': operator.ge,
    '<=': operator.le,
    '==': operator.eq,
    '!=': operator.ne,
    '>': operator.gt,
    '<': operator.lt,
}
_PREDICATE = re.compile(r'\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)\s*')


class ImagePropertiesFilter(Filter):
    """The host supports what the image says about itself."""

    on_rebuild = True

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        wanted, versions = self._wanted(spec), self._versions(spec)
        if not any(wanted) and not versions:
            return None
        return hosts.where_kind(
            'hypervisor',
            _hypervisor,
            lambda state: _supports(state, wanted) and _is_version(state, versions),
            alive,
        )

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        wanted = self._wanted(spec)
        if not _supports(hosts.states[i], wanted):
            return f'unable to run {" ".join(value for value in wanted if value)} guests'
        return f'with a hypervisor version that is not {self._versions(spec)}'

    def _wanted(self, spec: RequestSpec) -> tuple[str, str, str]:
        """Return (architecture, hypervisor type, mode), each empty when anything will do."""
        properties = spec.image.properties
        architecture = (
            properties.get('hw_architecture')
            or properties.get('architecture')
            or self.conf.filter_scheduler.image_properties_default_architecture
        )
        hypervisor = properties.get('img_hv_type') or properties.get('hypervisor_type')
        mode = properties.get('hw_vm_mode') or properties.get('vm_mode')
        return (
            _canonical(architecture, _ARCHITECTURES),
            _canonical(hypervisor, _HYPERVISORS),
            _canonical(mode, _MODES),
        )

    @staticmethod
    def _versions(spec: RequestSpec) -> str:
        properties = spec.image.properties
        return str(
            properties.get('img_hv_requested_version')
            or properties.get('hypervisor_version_requires')
            or ''
        )


def _canonical(value: object, names: dict[str, str]) -> str:
    word = str(value or '').lower()
    return names.get(word, word)


def _hypervisor(state: HostState) -> Hashable:
    """All that the filter looks at."""
    return tuple(map(tuple, state.node.supported_instances)), state.node.hypervisor_version


def _supports(state: HostState, wanted: tuple[str, str, str]) -> bool:
    if not any(wanted):
        return True
    return any(
        all(not want or want == has for want, has in zip(wanted, supported, strict=True))
        for supported in (
            (
                _canonical(architecture, _ARCHITECTURES),
                _canonical(hypervisor, _HYPERVISORS),
                _canonical(mode, _MODES),
            )
            for architecture, hypervisor, mode in state.node.supported_instances
        )
    )


def _is_version(state: HostState, predicates: str) -> bool:
    """``>=6.2, <8``: all of them hold; what cannot be read holds for no host."""
    if not predicates:
        return True
    number = state.node.hypervisor_version
    version = (number // 1_000_000, number // 1_000 % 1_000, number % 1_000)
    for part in predicates.split(','):
        match = _PREDICATE.fullmatch(part)
        if match is None:
            return False
        wanted = tuple(int(word) for word in match[2].split('.'))
        if not _COMPARE[match[1]](version, (*wanted, 0, 0)[:3]):
            return False
    return True
