"""Image properties that shape a guest: legacy names, types, allowed values."""

from typing import Any

from kilonova.common import exception
from kilonova.common.objects.image import Image

LEGACY = {
    'hw_ipxe_boot': 'ipxe_boot',
    'hw_vm_mode': 'vm_mode',
    'img_root_device_name': 'root_device_name',
    'os_distro': 'vmware_ostype',
}
BUSES = ('fdc', 'ide', 'sata', 'scsi', 'usb', 'virtio')
ALLOWED = {
    'hw_disk_bus': BUSES,
    'hw_cdrom_bus': BUSES,
    'hw_rescue_bus': BUSES,
    'hw_rescue_device': ('cdrom', 'disk', 'floppy'),
    'hw_scsi_model': (
        'buslogic',
        'ibmvscsi',
        'lsilogic',
        'lsisas1068',
        'lsisas1078',
        'virtio-scsi',
        'vmpvscsi',
    ),
    'hw_vif_model': (
        'virtio',
        'ne2k_pci',
        'pcnet',
        'rtl8139',
        'e1000',
        'e1000e',
        'igb',
        'lan9118',
        'spapr-vlan',
        'vmxnet3',
    ),
    'hw_video_model': (
        'cirrus',
        'qxl',
        'vga',
        'vmvga',
        'virtio',
        'gop',
        'none',
        'bochs',
    ),
    'hw_firmware_type': ('bios', 'uefi'),
    'hw_watchdog_action': ('none', 'pause', 'poweroff', 'reset', 'disabled'),
    'hw_rng_model': ('virtio',),
    'hw_pointer_model': ('usbtablet',),
    'hw_input_bus': ('usb', 'virtio'),
    'hw_sound_model': ('sb16', 'es1370', 'pcspk', 'ac97', 'ich6', 'ich9', 'usb', 'virtio'),
    'hw_tpm_model': ('tpm-tis', 'tpm-crb'),
    'hw_tpm_version': ('1.2', '2.0'),
    'hw_usb_model': ('none', 'nec-xhci', 'qemu-xhci'),
    'hw_viommu_model': ('intel', 'smmuv3', 'virtio', 'auto'),
    'hw_maxphysaddr_mode': ('passthrough', 'emulate'),
    'os_secure_boot': ('required', 'disabled', 'optional'),
}
TRUE = ('1', 't', 'true', 'on', 'y', 'yes')
FALSE = ('0', 'f', 'false', 'off', 'n', 'no', '')


class ImageProps:
    """Reads properties of one image.  A value that makes no sense raises ImageUnacceptable."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def get(self, name: str) -> str | None:
        """Return a property as text; None when the image has it neither by this nor its old name."""
        value = self.image.properties.get(name, self.image.properties.get(LEGACY.get(name, name)))
        if value is None:
            return None
        text = str(value)
        allowed = ALLOWED.get(name)
        if allowed is not None and text.lower() not in allowed:
            raise self._bad(name, value)
        return text.lower() if allowed is not None else text

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.get(name)
        if value is None:
            return default
        if value.lower() not in TRUE + FALSE:
            raise self._bad(name, value)
        return value.lower() in TRUE

    def number(self, name: str) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise self._bad(name, value) from None

    def _bad(self, name: str, value: Any) -> exception.ImageUnacceptable:
        return exception.ImageUnacceptable(
            image_id=self.image.id, reason=f'its property {name} has the invalid value {value!r}.'
        )
