"""Unversioned notifications: flat dictionaries, as billing and monitoring read them of old."""

import datetime
from typing import Any

from kilonova.common.context import RequestContext
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.objects.server import Server

# The new name of an action -> the old one.
OLD = {
    'resize_prep': 'resize.prep',
    'resize_finish': 'finish_resize',
    'resize_confirm': 'resize.confirm',
    'resize_revert': 'resize.revert',
    'volume_attach': 'volume.attach',
    'volume_detach': 'volume.detach',
}


def server(
    notifier: Notifier, context: RequestContext, name: str, record: Server, host: str
) -> None:
    """Send what happened to a server; ``name`` is that of the versioned notification."""
    if not notifier.plain:
        return
    _instance, action, *phase = name.split('.')
    full = '.'.join(['compute', 'instance', OLD.get(action, action), *phase])
    notifier.send_plain(context, f'compute.{host}', full, _server(record))


def _server(record: Server) -> dict[str, Any]:
    flavor, image = record.flavor, record.image
    return {
        'tenant_id': record.project_id,
        'user_id': record.user_id,
        'instance_id': record.uuid,
        'display_name': record.name,
        'reservation_id': record.reservation_id,
        'hostname': record.hostname,
        'instance_type': flavor.name,
        'instance_type_id': flavor.id,
        'instance_flavor_id': flavor.flavorid,
        'architecture': image.properties.get('hw_architecture'),
        'memory_mb': flavor.memory_mb,
        'vcpus': flavor.vcpus,
        'root_gb': flavor.root_gb,
        'ephemeral_gb': flavor.ephemeral_gb,
        'disk_gb': flavor.root_gb + flavor.ephemeral_gb,
        'host': record.host,
        'node': record.node,
        'availability_zone': record.availability_zone,
        'cell_name': '',
        'created_at': _time(record.created_at),
        'terminated_at': _time(record.terminated_at),
        'deleted_at': _time(record.deleted_at),
        'launched_at': _time(record.launched_at),
        'image_ref_url': f'/images/{image.id}' if image.id else '',
        'os_type': image.properties.get('os_type'),
        'kernel_id': record.kernel_id or '',
        'ramdisk_id': record.ramdisk_id or '',
        'state': record.vm_state,
        'state_description': record.task_state or '',
        'progress': record.progress or '',
        'access_ip_v4': record.access_ip_v4,
        'access_ip_v6': record.access_ip_v6,
        'metadata': record.metadata,
        'image_meta': image.known_properties(),
        'fixed_ips': [
            {
                'label': vif.label,
                'vif_mac': vif.address,
                'address': ip.address,
                'version': ip.version,
                'type': 'fixed',
                'floating_ips': ip.floating_ips,
                'meta': {},
            }
            for vif in record.network_info
            for ip in vif.fixed_ips
        ],
    }


def _time(when: datetime.datetime | None) -> str:
    return str(when.replace(tzinfo=None)) if when else ''
