"""Traits that a flavor or an image asks for in other words."""

from typing import Any

from kilonova.common import resources
from kilonova.common.objects.request_spec import RequestSpec

# Image property to the prefix of the trait ([scheduler]image_metadata_prefilter)
_MODELS = {
    'hw_cdrom_bus': 'COMPUTE_STORAGE_BUS_',
    'hw_disk_bus': 'COMPUTE_STORAGE_BUS_',
    'hw_video_model': 'COMPUTE_GRAPHICS_MODEL_',
    'hw_vif_model': 'COMPUTE_NET_VIF_MODEL_',
    'hw_architecture': 'COMPUTE_ARCH_',
    'hw_emulation_architecture': 'COMPUTE_ARCH_',
    'hw_viommu_model': 'COMPUTE_VIOMMU_MODEL_',
}
_MAXPHYSADDR = {
    'passthrough': 'COMPUTE_ADDRESS_SPACE_PASSTHROUGH',
    'emulate': 'COMPUTE_ADDRESS_SPACE_EMULATED',
}


def required_by_image(properties: dict[str, Any]) -> set[str]:
    """Return the traits of ``trait:NAME=required`` properties."""
    listed = properties.get('traits_required')
    named = {
        key.removeprefix('trait:')
        for key, value in properties.items()
        if key.startswith('trait:') and value == 'required'
    }
    return named | (set(listed) if isinstance(listed, list) else set())


def translate(spec: RequestSpec) -> set[str]:
    """Return the traits of the host that hw: extra specs and hw_ properties stand for."""
    found = set()
    if resources.flag(spec, 'virtio_packed_ring'):
        found.add('COMPUTE_NET_VIRTIO_PACKED')
    if 'accel:device_profile' in spec.flavor.extra_specs:
        found.add('COMPUTE_ACCELERATORS')
    if _is_remote_managed(spec):
        found.add('COMPUTE_REMOTE_MANAGED_PORTS')
    if _secure_boot(spec):
        found.add('COMPUTE_SECURITY_UEFI_SECURE_BOOT')
    found |= _ephemeral_encryption(spec) | _tpm(spec)
    for name, prefix in (
        ('sound_model', 'COMPUTE_SOUND_MODEL_'),
        ('tpm_secret_security', 'COMPUTE_SECURITY_TPM_SECRET_SECURITY_'),
        ('viommu_model', 'COMPUTE_VIOMMU_MODEL_'),
    ):
        value = resources.prop(spec, name)
        if value:
            found.add(_trait(prefix, value))
    mode = resources.prop(spec, 'maxphysaddr_mode')
    if mode in _MAXPHYSADDR:
        found.add(_MAXPHYSADDR[mode])
    return found


def of_image_models(properties: dict[str, Any]) -> set[str]:
    """Return the traits for the device models that the image wants to be emulated."""
    return {
        _trait(prefix, str(properties[name]))
        for name, prefix in _MODELS.items()
        if properties.get(name)
    }


def of_image_type(disk_format: str) -> str:
    """Return the trait of hosts that can use images of a format."""
    return _trait('COMPUTE_IMAGE_TYPE_', disk_format)


def _trait(prefix: str, value: str) -> str:
    return prefix + value.upper().replace('-', '_').replace('.', '_')


def _is_remote_managed(spec: RequestSpec) -> bool:
    wanted = (one for request in spec.pci_requests for one in request.specs)
    return any(one.get('remote_managed') == 'true' for one in wanted) or any(
        entry.vnic_type == 'remote-managed' for entry in spec.networks
    )


def _secure_boot(spec: RequestSpec) -> bool:
    specs, properties = spec.flavor.extra_specs, spec.image.properties
    return 'required' in (specs.get('os:secure_boot'), properties.get('os_secure_boot'))


def _ephemeral_encryption(spec: RequestSpec) -> set[str]:
    if not resources.flag(spec, 'ephemeral_encryption'):
        return set()
    form = resources.prop(spec, 'ephemeral_encryption_format')
    return {'COMPUTE_EPHEMERAL_ENCRYPTION'} | (
        {_trait('COMPUTE_EPHEMERAL_ENCRYPTION_', form)} if form else set()
    )


def _tpm(spec: RequestSpec) -> set[str]:
    version, model = resources.prop(spec, 'tpm_version'), resources.prop(spec, 'tpm_model')
    found = {_trait('COMPUTE_SECURITY_TPM_', version)} if version else set()
    if version and model:
        found.add(_trait('COMPUTE_SECURITY_TPM_', model.removeprefix('tpm-')))
    return found
