"""Finds out whether the host can really run guests with KVM.

/dev/kvm that is there proves little: nested virtualisation may be broken, or emulate a few
instructions only.  So a guest of one floppy sector is run through libvirt, as real ones
are: it enters long mode, does SSE2 arithmetic in a loop long enough to be hopeless
without hardware, and then reports a panic, which is what we wait for.
"""

import os
import time
import uuid
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.capabilities import HostCapabilities
from kilonova.compute.virt.libvirt.xml import device, disk, domain, system
from kilonova.compute.virt.libvirt.xml.element import Element

LOG = logging.getLogger(__name__)

TIMEOUT = 60.0
# Hardware needs about one second of processor time, however loaded the host is.
CPU_TIME = 6.0
# A guest that used less than STILL_CPU seconds of it in STILL seconds does nothing any more.
STILL, STILL_CPU = 8.0, 0.15
FLOPPY = 1474560
X86 = ('x86_64', 'i686')

# cli; ds = es = ss = 0; sp = 0x7c00; clear 12 KiB at 0x1000; PML4, PDPT and a 2 MiB page there;
# cr3 = 0x1000; cr4 = PAE|OSFXSR|OSXMMEXCPT; EFER.LME; lgdt; cr0 = PG|MP|PE; far jump to 64 bits;
# 2^27 times paddq xmm0, xmm0; out 0x505 (pvpanic), 1; hlt.  The GDT follows at 0x7c7f.
CODE = bytes.fromhex(
    'fa31c08ed88ec08ed0bc007cfcbf0010b90018f3ab66c70600100320000066c70600200330000066c7060030'
    '8300000066b8001000000f22d866b8200600000f22e066b9800000c00f32660d000100000f300f01168f7c66'
    'b8030000800f22c066ea687c00000800b900000008660fd4c0ffc975f866ba0505b001eef4ebfd0000000000'
    '00000000000000009a20000f007f7c'
)


def choose(conf: cfg.ConfigOpts, conn: connection.Connection, host: HostCapabilities) -> str:
    """Return the virt_type to use: the configured one, or what the host was found to run."""
    wanted: str = conf.libvirt.virt_type
    if wanted not in host.virt_types():
        usable = ', '.join(sorted(host.virt_types())) or 'nothing'
        if _is_set(conf) or wanted != 'kvm':
            raise exception.VirtDriverError(
                reason=f'[libvirt]virt_type is {wanted}, but libvirt on this host offers {usable}.'
            )
        LOG.warning('This host has no KVM (libvirt offers %s): guests are emulated', usable)
        return 'qemu'
    if wanted != 'kvm':
        return wanted
    fault = probe(conn, host.arch, conf.instances_path)
    if fault is None:
        return 'kvm'
    if _is_set(conf):
        LOG.error('[libvirt]virt_type is kvm, but KVM cannot run a guest here: %s', fault)
        return 'kvm'
    LOG.warning('KVM is there but cannot run a guest: %s. Guests are emulated (qemu)', fault)
    return 'qemu'


def _is_set(conf: cfg.ConfigOpts) -> bool:
    where = conf.get_location('virt_type', 'libvirt')
    defaults = (cfg.Locations.opt_default, cfg.Locations.set_default)
    return where is not None and where.location not in defaults


def probe(
    conn: connection.Connection, arch: str, directory: str, timeout: float = TIMEOUT
) -> str | None:
    """Run the small guest with KVM; return None if that works, else what happened.

    Elsewhere than on x86 QEMU is only started and its guest not run.
    """
    name = f'kilonova-kvm-probe-{uuid.uuid4().hex[:8]}'
    floppy = os.path.join(directory, name + '.img')
    runs_code = arch in X86
    try:
        with open(floppy, 'wb') as file:
            file.write(CODE.ljust(510, b'\0') + b'\x55\xaa')
            file.truncate(FLOPPY)
        os.chmod(floppy, 0o644)
        xml = _domain(name, arch, floppy if runs_code else None).to_xml()
        return _Run(conn, name).outcome(xml, timeout, runs_code)
    finally:
        if os.path.exists(floppy):
            os.unlink(floppy)


def _domain(name: str, arch: str, floppy: str | None) -> domain.Domain:
    devices: list[Element] = [device.MemBalloon(model='none')]
    if floppy is not None:
        devices.append(
            disk.Disk(
                device='floppy', format='raw', path=floppy, target='fda', bus='fdc', readonly=True
            )
        )
        devices.append(device.Panic())
    return domain.Domain(
        type='kvm',
        name=name,
        memory=32 * 1024,
        vcpus=1,
        os=system.Os(
            arch=arch,
            machine='pc' if floppy else None,
            boot=[system.Boot(dev='fd' if floppy else 'hd')],
        ),
        # A panic leaves the domain as it is, for us to see; a reset (a crash) ends it.
        on_reboot='destroy',
        on_crash='preserve',
        devices=domain.Devices(items=devices),
    )


class _Run:
    """One try, as a transient domain that is gone afterwards whatever happens."""

    def __init__(self, conn: connection.Connection, name: str) -> None:
        self.conn, self.name = conn, name
        self.lib = connection.library()

    def outcome(self, xml: str, timeout: float, runs_code: bool) -> str | None:
        flags = 0 if runs_code else self.lib.VIR_DOMAIN_START_PAUSED
        try:
            self.conn.call(lambda conn: conn.createXML(xml, flags))
        except connection.HypervisorError as error:
            return error.message
        try:
            return self._wait(timeout) if runs_code else None
        finally:
            self._remove()

    def _wait(self, timeout: float) -> str | None:
        deadline = time.monotonic() + timeout
        seen, since = -1.0, 0.0
        while (now := time.monotonic()) < deadline:
            found = self._look()
            if found is None:
                return 'the processor reset itself'
            state, used = found
            if state == self.lib.VIR_DOMAIN_CRASHED:
                return None
            if state == self.lib.VIR_DOMAIN_PAUSED:
                return 'QEMU stopped with a KVM internal error'
            if used > CPU_TIME:
                return f'the test guest had not finished after {used:.0f} s of processor time'
            if used > seen + STILL_CPU:
                seen, since = used, now
            elif now > since + STILL:
                return 'the processor stands still'
            time.sleep(0.1)
        return f'the test guest did not finish in {timeout:.0f} s'

    def _look(self) -> tuple[int, float] | None:
        """Return the domain's state and processor time in seconds; None when it is gone."""

        def run(conn: Any) -> tuple[int, float]:
            state, _most, _memory, _vcpus, nanoseconds = conn.lookupByName(self.name).info()
            return state, nanoseconds / 1e9

        try:
            found: tuple[int, float] = self.conn.call(run)
            return found
        except connection.HypervisorError as error:
            if error.number == self.lib.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _remove(self) -> None:
        try:
            self.conn.call(lambda conn: conn.lookupByName(self.name).destroy())
        except connection.HypervisorError as error:
            if error.number not in (self.lib.VIR_ERR_NO_DOMAIN, self.lib.VIR_ERR_OPERATION_INVALID):
                raise
