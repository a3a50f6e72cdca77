"""Groups of a request that come of ports and PCI devices: one provider each."""

from oslo_config import cfg

from kilonova.common.fitting import pci
from kilonova.common.objects.pci import PciRequest
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.resource_classes import normalise
from kilonova.scheduler.request import Group, ResourceRequest


def add(asked: ResourceRequest, spec: RequestSpec, conf: cfg.ConfigOpts) -> None:
    """Add what ports and, with pci_in_placement, PCI aliases ask for.  Raises PciAliasNotDefined."""
    for port in spec.port_groups:
        asked.groups[port.id] = Group(resources=dict(port.resources), required=set(port.required))
    asked.same_subtree += [frozenset(ids) for ids in spec.same_subtree]
    if conf.filter_scheduler.pci_in_placement:
        wanted = pci.requests_of(spec.flavor, spec.image, pci.aliases_of(conf))
        for number, request in enumerate(wanted):
            for device in range(request.count):
                asked.groups[f'-pci-{number}-{device}'] = _device(request)


def _device(request: PciRequest) -> Group:
    [alias] = request.specs
    return Group(
        resources={normalise(alias): 1},
        required={
            name if name.startswith(('CUSTOM_', 'COMPUTE_', 'HW_')) else f'CUSTOM_{name}'
            for word in alias.get('traits', '').split(',')
            if (name := word.strip().upper())
        },
    )
