"""What a notification says of a server, of what the records hold."""

from typing import Any

import msgspec
from oslo_config import cfg

from kilonova.common import naming
from kilonova.common.notifications import describe
from kilonova.common.notifications import servers as payloads
from kilonova.common.notifications.hosts import ExceptionPayload
from kilonova.common.notifications.resources import FlavorPayload, KeypairPayload
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Fault, Server
from kilonova.conductor import audit_period
from kilonova.db import types

POWER = {0: 'pending', 1: 'running', 3: 'paused', 4: 'shutdown', 6: 'crashed', 7: 'suspended'}


def common(conf: cfg.ConfigOpts, server: Server, request: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of ``InstancePayload``; ``request``: who asked for what happens."""
    properties = server.image.properties
    return {
        'uuid': server.uuid,
        'user_id': server.user_id,
        'tenant_id': server.project_id,
        'reservation_id': server.reservation_id,
        'display_name': server.name,
        'display_description': server.description,
        'host_name': server.hostname,
        'host': server.host,
        'node': server.node,
        'os_type': properties.get('os_type'),
        'architecture': properties.get('hw_architecture') or properties.get('architecture'),
        'availability_zone': server.availability_zone,
        'flavor': describe.flavor(server.flavor),
        'image_uuid': server.image.id,
        'key_name': server.key_name,
        'kernel_id': server.kernel_id or '',
        'ramdisk_id': server.ramdisk_id or '',
        'created_at': server.created_at,
        'launched_at': server.launched_at,
        'terminated_at': server.terminated_at,
        'deleted_at': server.deleted_at,
        'updated_at': server.updated_at,
        'state': server.vm_state,
        'power_state': POWER.get(server.power_state, 'pending'),
        'task_state': server.task_state,
        'progress': server.progress,
        'ip_addresses': [one for vif in server.network_info for one in _addresses(vif)],
        'block_devices': _devices(conf, server),
        'shares': _shares(conf, server),
        'metadata': server.metadata,
        'locked': server.locked,
        'locked_reason': server.locked_reason,
        'auto_disk_config': 'AUTO' if server.auto_disk_config else 'MANUAL',
        **request,
    }


def of_create(conf: cfg.ConfigOpts, server: Server) -> dict[str, Any]:
    """Return what else is said of a server that is made."""
    keypairs = []
    if server.key_name:
        keypairs.append(
            KeypairPayload(
                user_id=server.user_id,
                name=server.key_name,
                fingerprint=None,
                public_key=server.key_public,
                type=server.key_type or 'ssh',
            )
        )
    return {
        'keypairs': keypairs,
        'tags': server.tags,
        'trusted_image_certificates': server.trusted_image_certificates,
        'instance_name': naming.instance_name(conf.instance_name_template, server),
    }


def fault(known: Fault | None, details: str | None) -> ExceptionPayload:
    """Return what went wrong: the server's fault, or what a step ended with that left none."""
    return ExceptionPayload(
        module_name=None,
        function_name=None,
        exception=None,
        exception_message=known.message if known else (details or ''),
        traceback=details or (known.details if known else None) or '',
    )


def _addresses(vif: VIF) -> list[payloads.IpPayload]:
    return [
        payloads.IpPayload(
            label=vif.label,
            mac=vif.address,
            meta={},
            port_uuid=vif.id,
            version=ip.version,
            address=ip.address,
            device_name=vif.devname,
        )
        for ip in vif.fixed_ips
    ]


def _devices(conf: cfg.ConfigOpts, server: Server) -> list[payloads.BlockDevicePayload]:
    if not conf.notifications.bdms_in_notifications:
        return []
    return [
        payloads.BlockDevicePayload(
            device_name=one.device_name,
            boot_index=one.boot_index,
            delete_on_termination=one.delete_on_termination,
            volume_id=one.volume_id,
            tag=one.tag,
        )
        for one in server.block_devices
        if one.volume_id
    ]


def _shares(conf: cfg.ConfigOpts, server: Server) -> list[payloads.SharePayload]:
    if not conf.notifications.include_share_mapping:
        return []
    return [
        payloads.SharePayload(
            share_mapping_uuid=one.uuid, share_id=one.share_id, status=one.status, tag=one.tag
        )
        for one in server.shares
    ]


def new_flavor(carried: dict[str, Any]) -> FlavorPayload | None:
    """Return the flavor that a move goes to."""
    move = carried.get('move') or {}
    known = move.get('new_flavor')
    return describe.flavor(msgspec.convert(known, Flavor)) if known else None


def of_update(conf: cfg.ConfigOpts, server: Server, old: dict[str, Any]) -> dict[str, Any]:
    """Return what ``instance.update`` says beside the server: what was, and since when we count."""
    begin, end = audit_period.last_completed(conf.instance_usage_audit_period, types.utcnow())
    return {
        'state_update': payloads.InstanceStateUpdatePayload(
            old_state=old['vm_state'],
            state=server.vm_state,
            old_task_state=old['task_state'],
            new_task_state=server.task_state,
        ),
        'audit_period': payloads.AuditPeriodPayload(
            audit_period_beginning=begin, audit_period_ending=end
        ),
        'old_display_name': old['name'] if old['name'] != server.name else None,
        'tags': server.tags,
    }
