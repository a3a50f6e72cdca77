"""What the host has to offer: its node record, and its provider tree in placement.

Only changes are sent.  What an operator has set in placement is kept: allocation ratios
that the configuration leaves open, and traits that are not ours to decide.
"""

import threading
import uuid as uuid_module
from typing import Any

import msgspec
import os_traits
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import placement as placement_client
from kilonova.common.objects.host import Amount, ComputeNode, ProviderState
from kilonova.common.objects.pci import devices_of
from kilonova.compute import pci_inventory
from kilonova.compute.virt.driver import Driver, Inventory
from kilonova.conductor.interface import ConductorInterface

LOG = logging.getLogger(__name__)

RATIOS = {'VCPU': 'cpu', 'MEMORY_MB': 'ram', 'DISK_GB': 'disk'}
OURS = ('COMPUTE_', 'HW_CPU_', os_traits.OWNER_NOVA)
DEFAULTS: dict[str, Any] = {
    'reserved': 0,
    'min_unit': 1,
    'step_size': 1,
    'allocation_ratio': 1.0,
}

Inventories = dict[str, dict[str, Any]]


class _Sent(msgspec.Struct):
    """What placement has of one provider, as far as we know."""

    inventories: Inventories
    traits: set[str]


class HostInventory:
    """One host's node record and providers."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        host: str,
        driver: Driver,
        conductor: ConductorInterface,
        placement: placement_client.Placement,
    ) -> None:
        self._conf, self._host, self._driver = conf, host, driver
        self._conductor, self._placement = conductor, placement
        self._lock = threading.Lock()
        self._node: ComputeNode | None = None
        self._root = ''
        self._sent: dict[str, _Sent] = {}
        self.disabled = False
        """The service is disabled: the scheduler must not look here."""
        self.metrics: list[dict[str, Any]] = []
        """What monitors have measured, for the next report."""

    @property
    def node(self) -> ComputeNode | None:
        """The record as it was last sent."""
        return self._node

    def update(self) -> None:
        """Tell the conductor and placement what has changed since the last time.

        Raises ServiceUnavailable (also for placement), VirtDriverError.
        """
        with self._lock:
            self._send_node()
            self._send_providers()
            self._send_node()  # ratios that were found in placement

    def set_enabled(self, enabled: bool) -> None:
        """Put or take away COMPUTE_STATUS_DISABLED at once."""
        with self._lock:
            self.disabled = not enabled
            if self._root:
                self._send_providers()

    def forget(self) -> None:
        """Believe that nothing has been sent: our records were deleted."""
        with self._lock:
            self._node = None
            self._sent.clear()

    # -- the node record

    def _send_node(self) -> None:
        node = self._describe_node()
        if node == self._node:
            return
        stored = self._conductor.update_compute_node(ctx.get_admin_context(), node)
        self._node, self._root = node, stored.uuid

    def _describe_node(self) -> ComputeNode:
        """Return the driver's node with ratios and what is reserved."""
        sent = self._sent.get(self._root)
        inventories = sent.inventories if sent else {}
        return msgspec.structs.replace(
            self._driver.get_node(),
            host=self._host,
            cpu_allocation_ratio=self._ratio('VCPU', inventories),
            ram_allocation_ratio=self._ratio('MEMORY_MB', inventories),
            disk_allocation_ratio=self._ratio('DISK_GB', inventories),
            reserved_host_cpus=self._conf.reserved_host_cpus,
            reserved_host_memory_mb=self._conf.reserved_host_memory_mb,
            reserved_host_disk_mb=self._conf.reserved_host_disk_mb,
            provider=self._describe_provider(sent) if sent else None,
            metrics=self.metrics,
        )

    def _describe_provider(self, sent: _Sent) -> ProviderState:
        """Return what placement has of the node, for schedulers that do not ask it."""
        others = (one.inventories for uuid, one in self._sent.items() if uuid != self._root)
        return ProviderState(
            inventories=msgspec.convert(sent.inventories, dict[str, Amount]),
            # That one comes and goes with the service's record, which the scheduler has.
            traits=sorted(sent.traits - {os_traits.COMPUTE_STATUS_DISABLED}),
            elsewhere=sorted({name for inventories in others for name in inventories}),
        )

    def _ratio(self, resource_class: str, current: Inventories) -> float:
        """Return the configured ratio, else what placement has, else the initial one."""
        name = RATIOS[resource_class]
        configured = self._conf[f'{name}_allocation_ratio']
        if configured:
            return float(configured)
        if resource_class in current:
            return float(current[resource_class]['allocation_ratio'])
        return float(self._conf[f'initial_{name}_allocation_ratio'])

    # -- the providers

    def _send_providers(self) -> None:
        tree = self._driver.get_inventory()
        if self._conf.pci.report_in_placement:
            devices = devices_of(self._driver.get_node().pci_devices)
            tree = [*tree, *pci_inventory.providers(tree[0].name, devices)]
        uuids = self._uuids(tree)
        first = self._root not in self._sent
        for provider in tree:
            uuid = uuids[provider.name]
            try:
                self._send_provider(uuid, provider, uuids.get(provider.parent or ''))
            except placement_client.ProviderNotFound:
                # Somebody has deleted it; it is made anew the next time.
                self._sent.pop(uuid, None)
                raise
        self._remove_others(set(uuids.values()), first)

    def _uuids(self, tree: list[Inventory]) -> dict[str, str]:
        """Return provider uuids by name: the node's for the first, stable ones for the others."""
        found = {tree[0].name: self._root}
        for provider in tree[1:]:
            stable = uuid_module.uuid5(uuid_module.UUID(self._root), provider.name)
            found[provider.name] = provider.uuid or str(stable)
        return found

    def _send_provider(self, uuid: str, provider: Inventory, parent: str | None) -> None:
        sent = self._sent.get(uuid) or self._adopt(uuid, provider.name, parent)
        self._sent[uuid] = sent
        if self._complete(provider.inventories, sent.inventories) != sent.inventories:
            # Read again: a ratio may have been changed in placement.
            current = self._placement.get_inventories(uuid)
            wanted = self._complete(provider.inventories, _strip(current))
            self._placement.set_inventories(uuid, wanted)
            sent.inventories = wanted
            LOG.info('Inventory of %s is now %s', provider.name, wanted)
        traits = self._traits(provider, is_root=parent is None)
        if traits - sent.traits or _stale(sent.traits, traits):
            sent.traits = self._set_traits(uuid, traits)
            LOG.info('Traits of %s are now %s', provider.name, sorted(traits))

    def _adopt(self, uuid: str, name: str, parent: str | None) -> _Sent:
        """Find or create a provider; returns what it has already."""
        try:
            self._placement.ensure_provider(uuid, name, parent)
        except placement_client.ProviderNameTaken as error:
            self._replace(str(error.kwargs['other']), name)
            self._placement.ensure_provider(uuid, name, parent)
        return _Sent(
            _strip(self._placement.get_inventories(uuid)),
            self._placement.get_traits(uuid),
        )

    def _replace(self, other: str, name: str) -> None:
        """Remove a provider that an earlier life of this host has left."""
        LOG.warning('Provider %s of an earlier installation has the name %s', other, name)
        try:
            self._placement.delete_provider(other)
        except placement_client.ProviderInUse as error:
            raise exception.ServiceUnavailable(
                f'Placement has a provider {name} with another uuid, {other}, that is in use. '
                'Remove its allocations, then it is replaced.'
            ) from error

    def _complete(self, wanted: Inventories, current: Inventories) -> Inventories:
        """Fill in what the driver leaves open: reserved amounts and ratios."""
        found = {}
        for name, values in wanted.items():
            reserved = {'reserved': self._reserved(name)}
            ratio = {'allocation_ratio': self._ratio(name, current)} if name in RATIOS else {}
            filled = DEFAULTS | {'max_unit': values['total']} | reserved | ratio | values
            # Placement refuses to reserve more than there is.
            filled['reserved'] = min(filled['reserved'], filled['total'])
            if filled['total'] > 0:
                found[name] = filled
        return found

    def _reserved(self, resource_class: str) -> int:
        if resource_class == 'VCPU':
            return int(self._conf.reserved_host_cpus)
        if resource_class == 'MEMORY_MB':
            return int(self._conf.reserved_host_memory_mb)
        if resource_class == 'DISK_GB':
            return -(-int(self._conf.reserved_host_disk_mb) // 1024)
        return 0

    def _traits(self, provider: Inventory, is_root: bool) -> set[str]:
        traits = {os_traits.OWNER_NOVA, *provider.traits}
        if is_root:
            traits.add(os_traits.COMPUTE_NODE)
            if self.disabled:
                traits.add(os_traits.COMPUTE_STATUS_DISABLED)
        return traits

    def _set_traits(self, uuid: str, wanted: set[str]) -> set[str]:
        """Set ours and leave what others have set; returns all that the provider has then."""
        current = self._placement.get_traits(uuid)
        stale = _stale(current, wanted)
        self._placement.change_traits(uuid, add=wanted, remove=stale)
        return (current | wanted) - stale

    def _remove_others(self, present: set[str], first: bool) -> None:
        """Remove child providers of ours that the driver does not have any more.

        Other services keep providers below ours (Neutron's bandwidth, Cyborg's devices):
        the first look at the tree knows ours by their trait.
        """
        gone = set(self._sent) - present
        if first:
            others = {p.uuid for p in self._placement.get_tree(self._root)} - present
            gone |= {
                uuid for uuid in others if os_traits.OWNER_NOVA in self._placement.get_traits(uuid)
            }
        for uuid in gone:
            try:
                self._placement.delete_provider(uuid)
            except placement_client.ProviderInUse as error:
                LOG.warning('A provider that is not needed any more stays: %s', error)
                continue
            self._sent.pop(uuid, None)


def _stale(current: set[str], wanted: set[str]) -> set[str]:
    """Return the traits that are ours to decide and are not wanted."""
    return {trait for trait in current if trait.startswith(OURS)} - wanted


def _strip(inventories: Inventories) -> Inventories:
    """Return inventories with the keys that we set, as placement gives them back."""
    keys = ('total', 'max_unit', *DEFAULTS)
    return {
        name: {key: values[key] for key in keys if key in values}
        for name, values in inventories.items()
    }
