"""Servers, and what is kept with them.

Defaults are left out on the wire and in the database, so a default never changes its value.
"""

import datetime
from typing import Any

import msgspec

from kilonova.common.objects.block_device import BlockDevice, boots_from_volume
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF, Networks
from kilonova.common.objects.numa import NumaTopology
from kilonova.common.objects.pci import PciDevice
from kilonova.common.objects.share import Share


class Fault(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a server is in ERROR.  ``details`` is for administrators only."""

    code: int
    message: str
    details: str | None = None
    created_at: datetime.datetime
    host: str | None = None


class Keypair(msgspec.Struct, kw_only=True, omit_defaults=True):
    id: int = 0
    name: str
    user_id: str
    type: str = 'ssh'
    fingerprint: str
    public_key: str
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    private_key: str | None = None


class Server(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One server.  Datetimes are UTC without a zone.

    ``operation`` and ``attempt`` are the fence: the operation that may change this
    server now, and which try of it.  ``host_status`` and ``services`` are filled only
    where a query asks for them.  ``image`` keeps what was known of the image at boot
    (its properties shape the guest for as long as it lives); ``image.id`` is empty for
    boot from volume.  ``personality`` and ``admin_password`` are never stored: they
    travel with the build request.
    """

    id: int = 0
    uuid: str
    name: str
    description: str | None = None
    hostname: str | None = None
    project_id: str
    user_id: str
    reservation_id: str | None = None
    launch_index: int = 0
    vm_state: str = 'building'
    task_state: str | None = None
    power_state: int = 0
    progress: int = 0
    host: str | None = None
    node: str | None = None
    launched_on: str | None = None
    availability_zone: str | None = None
    requested_zone: str | None = None
    flavor: Flavor
    image: Image = msgspec.field(default_factory=Image)
    kernel_id: str | None = None
    ramdisk_id: str | None = None
    key_name: str | None = None
    key_public: str | None = None
    key_type: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    metadata: dict[str, str] = {}
    system_metadata: dict[str, str] = {}
    tags: list[str] = []
    network_info: list[VIF] = []
    security_groups: list[str] = []
    server_groups: list[str] = []
    scheduler_hints: dict[str, Any] = {}
    block_devices: list[BlockDevice] = []
    trusted_image_certificates: list[str] | None = None
    root_device_name: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    auto_disk_config: bool = True
    locked: bool = False
    locked_by: str | None = None
    locked_reason: str | None = None
    fault: Fault | None = None
    launched_at: datetime.datetime | None = None
    terminated_at: datetime.datetime | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    deleted: bool = False
    deleted_at: datetime.datetime | None = None
    hidden: bool = False
    operation: str | None = None
    attempt: int = 0
    host_status: str | None = None

    @property
    def boots_from_volume(self) -> bool:
        """Whether the root disk is a volume; needs ``block_devices``."""
        return boots_from_volume(self.block_devices)

    numa_topology: NumaTopology | None = None
    pci_devices: list[PciDevice] = []
    shares: list[Share] = []
    unreachable: bool = False
    """Its cell is down: this is what the API database knows of it."""


class Rebuild(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the API hands to the conductor to make a server anew.

    ``changes``: columns of the record; ``key_name`` among them is resolved by the conductor.
    """

    image: Image
    admin_password: str
    personality: list[tuple[str, str]] = []
    preserve_ephemeral: bool = False
    changes: dict[str, Any] = {}
    zero_disk_allowed: bool = False
    reimage: bool = False
    """A root disk that is a volume gets the image's content."""


class ServerCreate(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the API hands to the conductor for ``POST /servers``.

    ``name`` is the display name as asked for; with ``max_count`` > 1 the conductor names
    the servers by Nova's ``name-1``, ``name-2`` … rule.  ``flavorid`` and ``key_name``
    are resolved by the conductor.  ``personality`` is a list of (path, base64 contents).
    ``block_devices`` holds what was asked for; the conductor adds what the flavor brings.
    ``zero_disk_allowed`` false: a flavor without a root disk needs a volume to boot from.
    """

    name: str
    description: str | None = None
    hostname: str | None = None
    flavorid: str
    image: Image = msgspec.field(default_factory=Image)
    networks: Networks
    security_groups: list[str] = []
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    personality: list[tuple[str, str]] = []
    metadata: dict[str, str] = {}
    tags: list[str] = []
    availability_zone: str | None = None
    forced_host: str | None = None
    forced_node: str | None = None
    requested_host: str | None = None
    requested_hypervisor_hostname: str | None = None
    block_devices: list[BlockDevice] = []
    scheduler_hints: dict[str, Any] = {}
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    auto_disk_config: bool = True
    admin_password: str | None = None
    min_count: int = 1
    max_count: int = 1
    trusted_image_certificates: list[str] | None = None
    zero_disk_allowed: bool = True


class CreatedServers(msgspec.Struct, kw_only=True, omit_defaults=True):
    reservation_id: str
    uuids: list[str]


class ServerQuery(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which servers to list, in which order, and which part.

    ``filters`` holds what the API let through, by Nova's names (``status`` is turned
    into ``vm_state``/``task_state`` lists by the API): exact matches ``uuid`` (list),
    ``host``, ``node``, ``project_id``, ``user_id``, ``reservation_id``, ``image``,
    ``flavor`` (flavorid), ``vm_state`` (list), ``task_state`` (list), ``power_state``,
    ``locked``, ``hidden``, ``availability_zone``, ``key_name``, ``config_drive``,
    ``launch_index``, ``root_device_name``, ``kernel_id``, ``ramdisk_id``,
    ``terminated_at``, ``launched_at``, ``created_at``, ``progress``, ``auto_disk_config``;
    patterns (regular expressions) ``name``, ``description``, ``hostname``, ``ip``,
    ``ip6``, ``access_ip_v4``, ``access_ip_v6``; ``metadata`` (dict, all must match),
    ``tags``/``tags_any``/``not_tags``/``not_tags_any`` (lists), ``deleted`` (bool; None:
    both), ``changes_since``/``changes_before`` (datetimes, ISO 8601).
    """

    filters: dict[str, Any] = {}
    sort_keys: list[str] = msgspec.field(default_factory=lambda: ['created_at'])
    sort_dirs: list[str] = msgspec.field(default_factory=lambda: ['desc'])
    limit: int | None = None
    marker: str | None = None
    detail: bool = True
    host_status: bool = False
    unreachable: bool = False
    """The servers of cells that are down shall be shown, too, as far as they are known."""


class ActionEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    event: str
    start_time: datetime.datetime
    finish_time: datetime.datetime | None = None
    result: str | None = None
    traceback: str | None = None
    details: str | None = None
    host: str | None = None


class Action(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One entry of os-instance-actions: an operation, or something done at once."""

    action: str
    instance_uuid: str
    request_id: str
    user_id: str | None
    project_id: str | None
    start_time: datetime.datetime
    updated_at: datetime.datetime | None = None
    message: str | None = None
    events: list[ActionEvent] = []


class OwnedActions(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Actions of a server, with whose it is: that decides who may see them."""

    project_id: str
    user_id: str
    actions: list[Action] = []
