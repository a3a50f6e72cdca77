"""Payloads about images, as far as they shape guests."""

import datetime
from typing import ClassVar

from kilonova.common.notifications.payload import Payload


class ImageMetaPropsPayload(Payload):
    """What an image does not say is empty."""

    VERSION: ClassVar[str] = '1.20'

    hw_architecture: str | None = None
    hw_auto_disk_config: str | None = None
    hw_boot_menu: str | None = None
    hw_cdrom_bus: str | None = None
    hw_cpu_cores: int | None = None
    hw_cpu_max_cores: int | None = None
    hw_cpu_max_sockets: int | None = None
    hw_cpu_max_threads: int | None = None
    hw_cpu_policy: str | None = None
    hw_cpu_realtime_mask: str | None = None
    hw_cpu_sockets: int | None = None
    hw_cpu_thread_policy: str | None = None
    hw_cpu_threads: int | None = None
    hw_device_id: int | None = None
    hw_disk_bus: str | None = None
    hw_disk_type: str | None = None
    hw_emulation_architecture: str | None = None
    hw_ephemeral_encryption: str | None = None
    hw_ephemeral_encryption_format: str | None = None
    hw_firmware_stateless: str | None = None
    hw_firmware_type: str | None = None
    hw_floppy_bus: str | None = None
    hw_input_bus: str | None = None
    hw_ipxe_boot: str | None = None
    hw_locked_memory: str | None = None
    hw_machine_type: str | None = None
    hw_maxphysaddr_bits: int | None = None
    hw_maxphysaddr_mode: str | None = None
    hw_mem_encryption: str | None = None
    hw_mem_encryption_model: str | None = None
    hw_mem_page_size: str | None = None
    hw_numa_cpus: list[str] | None = None
    hw_numa_mem: list[int] | None = None
    hw_numa_nodes: int | None = None
    hw_pci_numa_affinity_policy: str | None = None
    hw_pmu: str | None = None
    hw_pointer_model: str | None = None
    hw_qemu_guest_agent: str | None = None
    hw_redirected_usb_ports: int | None = None
    hw_rescue_bus: str | None = None
    hw_rescue_device: str | None = None
    hw_rng_model: str | None = None
    hw_scsi_model: str | None = None
    hw_serial_port_count: int | None = None
    hw_sound_model: str | None = None
    hw_time_hpet: str | None = None
    hw_tpm_model: str | None = None
    hw_tpm_version: str | None = None
    hw_usb_model: str | None = None
    hw_video_model: str | None = None
    hw_video_ram: int | None = None
    hw_vif_model: str | None = None
    hw_vif_multiqueue_enabled: str | None = None
    hw_viommu_model: str | None = None
    hw_virtio_packed_ring: str | None = None
    hw_vm_mode: str | None = None
    hw_watchdog_action: str | None = None
    img_bdm_v2: str | None = None
    img_bittorrent: str | None = None
    img_block_device_mapping: list[dict[str, str | None]] | None = None
    img_cache_in_nova: str | None = None
    img_compression_level: int | None = None
    img_config_drive: str | None = None
    img_hide_hypervisor_id: str | None = None
    img_hv_requested_version: str | None = None
    img_hv_type: str | None = None
    img_linked_clone: str | None = None
    img_mappings: list[dict[str, str | None]] | None = None
    img_owner_id: str | None = None
    img_root_device_name: str | None = None
    img_signature: str | None = None
    img_signature_certificate_uuid: str | None = None
    img_signature_hash_method: str | None = None
    img_signature_key_type: str | None = None
    img_use_agent: str | None = None
    img_version: int | None = None
    os_admin_user: str | None = None
    os_command_line: str | None = None
    os_distro: str | None = None
    os_require_quiesce: str | None = None
    os_secure_boot: str | None = None
    os_skip_agent_inject_files_at_boot: str | None = None
    os_skip_agent_inject_ssh: str | None = None
    os_type: str | None = None
    traits_required: list[str] | None = None


class ImageMetaPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    checksum: str | None
    container_format: str | None
    created_at: datetime.datetime | None
    direct_url: str | None
    disk_format: str | None
    id: str | None
    min_disk: int | None
    min_ram: int | None
    name: str | None
    owner: str | None
    properties: ImageMetaPropsPayload
    protected: str | bool | None
    size: int | None
    status: str | None
    tags: list[str] | None
    updated_at: datetime.datetime | None
    virtual_size: int | None
    visibility: str | None
