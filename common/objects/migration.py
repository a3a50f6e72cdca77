"""Moves of servers from host to host, or from flavor to flavor."""

import datetime
from typing import Any

import msgspec

from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.layout import Layout


class Migration(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One move.  ``dest_host`` is the destination's address.

    ``uuid`` is also the consumer in placement that holds the source's resources meanwhile.
    ``wish``: what an administrator wants of a live migration, 'abort' or 'force_complete'.
    """

    id: int = 0
    uuid: str
    instance_uuid: str
    migration_type: str
    status: str
    source_compute: str | None = None
    source_node: str | None = None
    dest_compute: str | None = None
    dest_node: str | None = None
    dest_host: str | None = None
    old_instance_type_id: int | None = None
    new_instance_type_id: int | None = None
    user_id: str | None = None
    project_id: str | None = None
    memory_total: int | None = None
    memory_processed: int | None = None
    memory_remaining: int | None = None
    disk_total: int | None = None
    disk_processed: int | None = None
    disk_remaining: int | None = None
    hidden: bool = False
    operation: str | None = None
    wish: str | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None


class Progress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far a live migration is, in bytes."""

    memory_total: int | None = None
    memory_processed: int | None = None
    memory_remaining: int | None = None
    disk_total: int | None = None
    disk_processed: int | None = None
    disk_remaining: int | None = None


class Move(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the other half of a move needs: to go back, or to finish."""

    old_flavor: Flavor
    new_flavor: Flavor
    old_vm_state: str
    old_zone: str | None = None
    source_uuid: str | None = None
    """The source's resource provider."""
    old_layout: Layout | None = None
    new_layout: Layout | None = None
    profiles: dict[str, dict[str, Any]] = {}
    """Binding profiles of the ports on the source."""


class MigrationQuery(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which moves to list, newest first.

    ``filters``: ``instance_uuid``, ``host`` (source or destination), ``source_compute``,
    ``status``, ``migration_type``, ``user_id``, ``project_id``, ``hidden`` (bool).
    """

    filters: dict[str, Any] = {}
    changes_since: datetime.datetime | None = None
    changes_before: datetime.datetime | None = None
    limit: int | None = None
    marker: str | None = None
