"""The guest's devices beside disks and NICs."""

import os

from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import DETACHING, ERROR
from kilonova.compute.virt.libvirt import mounts, tpm
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities
from kilonova.compute.virt.libvirt.console import CONSOLE_LOG
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml import chardev, device, display
from kilonova.compute.virt.libvirt.xml.element import Element
from kilonova.compute.virt.libvirt.xml.hostdev import Address, Hostdev

IOTHREAD = 1
AGENT = 'org.qemu.guest_agent.0'
SPICE_AGENT = 'com.redhat.spice.0'


class Devices:
    """Gathers the devices of one server."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        server: Server,
        arch: str,
        machine: str | None,
        caps: DomainCapabilities,
        tpm_secret: str | None = None,
    ) -> None:
        self._conf, self._server = conf, server
        self._wishes, self._tpm_secret = Wishes(server), tpm_secret
        self._arch, self._machine, self._caps = arch, machine or '', caps
        self._props = ImageProps(server.image)
        self._specs = server.flavor.extra_specs

    def all(self, directory: str, buses: set[str], serial_ports: list[int]) -> list[Element]:
        """Return every device; ``serial_ports`` are the TCP ports for serial consoles."""
        return [
            *self.controllers(buses),
            *self.serials(directory, serial_ports),
            *self.displays(),
            *self.inputs(),
            *self.channels(),
            *self.rng(),
            *self.sound(),
            *self.watchdog(),
            *self.tpm(),
            *self.iommu(),
            *self.filesystems(),
            *self.passed_through(),
            self.balloon(),
        ]

    def controllers(self, buses: set[str]) -> list[Element]:
        found: list[Element] = []
        if 'scsi' in buses:
            model = self._props.get('hw_scsi_model') or 'virtio-scsi'
            thread = IOTHREAD if model == 'virtio-scsi' else None
            found.append(device.Controller(type='scsi', index=0, model=model, iothread=thread))
        ports = self._conf.libvirt.num_pcie_ports
        if ports and self._is_pcie:
            found.append(device.Controller(type='pci', index=0, model='pcie-root'))
            found += [device.Controller(type='pci', model='pcie-root-port') for _ in range(ports)]
        return [*found, *self.usb(buses)]

    @property
    def _is_pcie(self) -> bool:
        return 'q35' in self._machine or 'virt' in self._machine

    def usb(self, buses: set[str]) -> list[Element]:
        """Return the USB controller and the ports for a SPICE client's devices."""
        model = self._wishes.text('usb_model')
        ports = self._wishes.number('redirected_usb_ports') or 0
        if model == 'none' and (ports or 'usb' in buses):
            raise self._refused('a guest without USB is asked for, and USB devices')
        if ports and not self._conf.spice.enabled:
            raise self._refused('redirected USB ports need SPICE, which this host does not have')
        found: list[Element] = []
        if model or ports:
            found.append(device.Controller(type='usb', index=0, model=model or 'qemu-xhci'))
        return [*found, *[device.RedirDev() for _ in range(ports)]]

    def serials(self, directory: str, ports: list[int]) -> list[Element]:
        """Return the serial ports; the first one is the console whose log is kept."""
        log = os.path.join(directory, CONSOLE_LOG)
        if not ports:
            return [chardev.Serial(log=log, append='on', port=0)]
        return [
            chardev.Serial(
                type='tcp',
                mode='bind',
                host=self._conf.serial_console.proxyclient_address,
                service=service,
                log=log if number == 0 else None,
                append='on' if number == 0 else None,
                port=number,
            )
            for number, service in enumerate(ports)
        ]

    def displays(self) -> list[Element]:
        found: list[Element] = []
        if self._conf.vnc.enabled:
            found.append(display.Vnc(listen=str(self._conf.vnc.server_listen)))
        if self._conf.spice.enabled:
            found.append(self._spice())
        if found:
            found.append(self._video())
        return found

    def _spice(self) -> Element:
        spice = self._conf.spice
        playback = spice.playback_compression
        return display.Spice(
            listen=spice.server_listen,
            default_mode='secure' if spice.require_secure else None,
            image=spice.image_compression,
            jpeg=spice.jpeg_compression,
            zlib=spice.zlib_compression,
            playback=None if playback is None else ('on' if playback else 'off'),
            streaming=spice.streaming_mode,
        )

    def _video(self) -> Element:
        model = self._props.get('hw_video_model')
        if model is None:
            model = 'qxl' if self._conf.spice.enabled and not self._conf.vnc.enabled else 'virtio'
            model = model if model in self._caps.video_models else 'vga'
        return display.Video(type=model, vram=self._video_memory())

    def _video_memory(self) -> int | None:
        """Return KiB.  The flavor allows it, the image asks for it."""
        wanted = self._props.number('hw_video_ram')
        if not wanted:
            return None
        most = int(self._specs.get('hw_video:ram_max_mb', 0))
        if wanted > most:
            raise self._refused(
                f'the image asks for {wanted} MiB of video memory, the flavor allows {most}'
            )
        return wanted * 1024

    def inputs(self) -> list[Element]:
        """Return a pointer that knows where the mouse is, unless an agent takes care of it."""
        has_display = self._conf.vnc.enabled or self._conf.spice.enabled
        if not has_display:
            return []
        found: list[Element] = []
        has_usb = self._wishes.text('usb_model') != 'none'
        bus = self._props.get('hw_input_bus') or ('usb' if has_usb else 'virtio')
        if self._arch == 'aarch64':
            found.append(display.Input(type='keyboard', bus=bus))
        model = self._props.get('hw_pointer_model') or self._conf.pointer_model
        by_agent = self._conf.spice.enabled and self._conf.spice.agent_enabled
        if model == 'usbtablet' and (self._conf.vnc.enabled or not by_agent):
            found.append(display.Input(type='tablet', bus=bus))
        return found

    def channels(self) -> list[Element]:
        found: list[Element] = []
        if self._conf.spice.enabled and self._conf.spice.agent_enabled:
            found.append(chardev.Channel(type='spicevmc', name=SPICE_AGENT))
        if self._props.flag('hw_qemu_guest_agent'):
            found.append(chardev.Channel(mode='bind', name=AGENT))
        return found

    def rng(self) -> list[Element]:
        """Return random bytes for the guest, which starts slowly without, unless forbidden."""
        self._props.get('hw_rng_model')
        if self._specs.get('hw_rng:allowed', 'true').lower() in ('false', '0', 'no'):
            return []
        rate = self._specs.get('hw_rng:rate_bytes')
        period = self._specs.get('hw_rng:rate_period')
        return [
            device.Rng(
                source=self._conf.libvirt.rng_dev_path,
                bytes=int(rate) if rate else None,
                period=int(period) if rate and period else None,
            )
        ]

    def sound(self) -> list[Element]:
        model = self._wishes.text('sound_model')
        return [device.Sound(model=model)] if model else []

    def watchdog(self) -> list[Element]:
        action = self._props.get('hw_watchdog_action') or self._specs.get('hw:watchdog_action')
        if action in (None, 'disabled'):
            return []
        return [device.Watchdog(action=action)]

    def tpm(self) -> list[Element]:
        """Return the TPM, whose state is encrypted by a secret that libvirt has by now."""
        model = tpm.model(self._server, self._machine, self._caps)
        if model is None:
            return []
        return [device.Tpm(model=model, secret=self._tpm_secret)]

    def iommu(self) -> list[Element]:
        model = self._wishes.text('viommu_model')
        if model is None:
            return []
        usual = {'x86_64': 'intel', 'aarch64': 'smmuv3'}.get(self._arch, 'virtio')
        model = usual if model == 'auto' else model
        if model == 'intel' and 'q35' not in self._machine:
            raise self._refused('the intel IOMMU needs the q35 machine type')
        found = device.Iommu(model=model)
        if model == 'intel':
            found.interrupts = found.caching = found.extended = found.iotlb = 'on'
        return [found]

    def filesystems(self) -> list[Element]:
        """Return the shares that are mounted on the host for this guest."""
        return [
            device.Filesystem(directory=mounts.path(self._conf, share), tag=share.tag)
            for share in self._server.shares
            if share.status not in (DETACHING, ERROR)
        ]

    def passed_through(self) -> list[Element]:
        """Return the host's devices that were asked for by alias; those of ports come with them."""
        return [
            Hostdev(source=Address.of(one.address))
            for one in self._server.pci_devices
            if one.port_id is None
        ]

    def _refused(self, reason: str) -> exception.BuildAborted:
        return exception.BuildAborted(uuid=self._server.uuid, reason=reason)

    def balloon(self) -> Element:
        return device.MemBalloon(period=self._conf.libvirt.mem_stats_period_seconds or None)


def serial_count(conf: cfg.ConfigOpts, server: Server) -> int:
    """Return how many serial ports the guest gets on TCP: the flavor limits what the image wants."""
    if not conf.serial_console.enabled:
        return 0
    most = server.flavor.extra_specs.get('hw:serial_port_count')
    count = ImageProps(server.image).number('hw_serial_port_count') or int(most or 1)
    return min(count, int(most)) if most else count
