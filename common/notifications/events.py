"""Every notification that is sent: its object and action, who says it, its payload, its phases."""

from typing import NamedTuple

from kilonova.common.notifications import hosts, requests, resources, servers
from kilonova.common.notifications.payload import Payload

API, COMPUTE, CONDUCTOR = 'nova-api', 'nova-compute', 'nova-conductor'
SCHEDULER = 'nova-scheduler'


class Event(NamedTuple):
    """``phases`` () : it is said once."""

    name: str
    source: str
    payload: type[Payload]
    phases: tuple[str, ...] = ()
    grave: bool = False
    """It tells of an error, although no phase says so."""

    def types(self) -> list[str]:
        """Return the event types that it comes as."""
        return [f'{self.name}.{phase}' for phase in self.phases] or [self.name]


_AROUND = ('start', 'end')
_FAILING = ('start', 'end', 'error')


def _instance(
    actions: str,
    phases: tuple[str, ...] = _AROUND,
    payload: type[Payload] = servers.InstanceActionPayload,
    source: str = COMPUTE,
) -> list[Event]:
    return [Event(f'instance.{action}', source, payload, phases) for action in actions.split()]


def _around(names: str, payload: type[Payload]) -> list[Event]:
    return [Event(name, API, payload, _AROUND) for name in names.split()]


def _once(names: str, source: str, payload: type[Payload]) -> list[Event]:
    return [Event(name, source, payload) for name in names.split()]


_ALL = [
    *_instance('create', _FAILING, servers.InstanceCreatePayload),
    *_instance(
        'delete shutdown soft_delete restore power_on power_off pause unpause suspend resume '
        'unrescue trigger_crash_dump resize_confirm resize_finish resize_revert shelve '
        'shelve_offload unshelve interface_detach live_migration_abort '
        'live_migration_force_complete live_migration_pre live_migration_post '
        'live_migration_post_dest live_migration_rollback live_migration_rollback_dest'
    ),
    *_instance('reboot resize interface_attach', _FAILING),
    *_instance('resize_prep', payload=servers.InstanceActionResizePrepPayload),
    *_instance('rescue', payload=servers.InstanceActionRescuePayload),
    *_instance('rebuild', _FAILING, servers.InstanceActionRebuildPayload),
    *_instance('snapshot', payload=servers.InstanceActionSnapshotPayload),
    *_instance('volume_attach', _FAILING, servers.InstanceActionVolumePayload),
    *_instance('volume_detach', payload=servers.InstanceActionVolumePayload),
    *_instance('volume_swap', _FAILING, servers.InstanceActionVolumeSwapPayload),
    *_instance('share_attach share_detach', _FAILING, servers.InstanceActionSharePayload, API),
    *_instance('lock unlock evacuate', (), source=API),
    *_instance('update', (), servers.InstanceUpdatePayload, API),
    *_around('keypair.create keypair.import keypair.delete', resources.KeypairPayload),
    *_around(
        'aggregate.create aggregate.delete aggregate.add_host aggregate.remove_host '
        'aggregate.update_prop aggregate.update_metadata aggregate.cache_images',
        hosts.AggregatePayload,
    ),
    *_once('flavor.create flavor.update flavor.delete', API, resources.FlavorPayload),
    *_once(
        'server_group.create server_group.delete server_group.add_member',
        API,
        resources.ServerGroupPayload,
    ),
    *_instance('rebuild_scheduled', (), servers.InstanceActionRebuildPayload, CONDUCTOR),
    *_instance('exists', (), servers.InstanceExistsPayload),
    Event('scheduler.select_destinations', SCHEDULER, requests.RequestSpecPayload, _AROUND),
    *(
        Event(f'compute_task.{name}', CONDUCTOR, requests.ComputeTaskPayload, ('error',))
        for name in ('build_instances', 'migrate_server', 'rebuild_server')
    ),
    *_once('aggregate.cache_images.progress', CONDUCTOR, hosts.AggregateCachePayload),
    *_once('service.create service.update service.delete', COMPUTE, hosts.ServiceStatusPayload),
    Event('compute.exception', COMPUTE, hosts.ExceptionPayload, grave=True),
    Event('libvirt.connect', COMPUTE, hosts.LibvirtErrorPayload, ('error',)),
    Event('metrics.update', COMPUTE, hosts.MetricsPayload),
    Event('volume.usage', COMPUTE, resources.VolumeUsagePayload),
]
EVENTS = {event.name: event for event in _ALL}


def priority(event: Event, phase: str | None) -> str:
    """Return how grave the published table says that a phase of an event is."""
    return 'error' if phase == 'error' or event.grave else 'info'
