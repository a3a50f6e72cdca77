"""<features> and <clock>: what the board can do, and how time is kept on it."""

from oslo_config import cfg

from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import guest_system
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml import system

X86 = ('x86_64', 'i686')
SPINLOCK_RETRIES = 8191
ENLIGHTENMENTS = (
    'relaxed',
    'vapic',
    'spinlocks',
    'vpindex',
    'runtime',
    'synic',
    'reset',
    'frequencies',
    'reenlightenment',
    'tlbflush',
    'ipi',
)
# NVIDIA's drivers refuse to work where they find Microsoft's or KVM's name.
HIDDEN_VENDOR = '1234567890ab'


def features(
    conf: cfg.ConfigOpts, server: Server, arch: str, virt_type: str, caps: DomainCapabilities
) -> system.Features:
    """Return <features>."""
    wishes = Wishes(server)
    found = system.Features(
        acpi=arch in (*X86, 'aarch64'),
        apic=arch in X86 and not conf.workarounds.libvirt_disable_apic,
        vmcoreinfo='on' if caps.vmcoreinfo else None,
    )
    hidden = hides_hypervisor(server)
    if hidden and virt_type == 'kvm':
        found.kvm_hidden = 'on'
    if arch in X86 and virt_type == 'kvm' and _is_windows(server):
        found.hyperv = _hyperv(hidden)
    pmu = wishes.flag('pmu')
    if pmu is not None:
        found.pmu = 'on' if pmu else 'off'
    if guest_system.wants_secure_boot(server):
        found.smm = 'on'
    if wishes.text('viommu_model') and arch in X86:
        found.ioapic = 'qemu'
    if virt_type == 'qemu' and conf.libvirt.tb_cache_size:
        found.tb_cache, found.tb_cache_unit = conf.libvirt.tb_cache_size, 'MiB'
    return found


def hides_hypervisor(server: Server) -> bool:
    """Whether the guest must not find out that it is one; the flavor's old name counts, too."""
    old = server.flavor.extra_specs.get('hide_hypervisor_id', '').lower() == 'true'
    by_flavor = Wishes(server).flag('hide_hypervisor_id')
    return old or bool(by_flavor) or ImageProps(server.image).flag('img_hide_hypervisor_id')


def _is_windows(server: Server) -> bool:
    return ImageProps(server.image).get('os_type') == 'windows'


def _hyperv(hidden: bool) -> system.Hyperv:
    found = system.Hyperv(retries=SPINLOCK_RETRIES)
    for name in ENLIGHTENMENTS:
        setattr(found, name, 'on')
    if hidden:
        found.vendor, found.vendor_id = 'on', HIDDEN_VENDOR
    return found


def clock(server: Server, arch: str, virt_type: str) -> system.Clock:
    """Return <clock>: Windows keeps local time."""
    found = system.Clock(offset='localtime' if _is_windows(server) else 'utc')
    if virt_type != 'kvm' or arch not in X86:
        return found
    hpet = 'yes' if ImageProps(server.image).flag('hw_time_hpet') else 'no'
    found.timers = [
        system.Timer(name='pit', tickpolicy='delay'),
        system.Timer(name='rtc', tickpolicy='catchup'),
        system.Timer(name='hpet', present=hpet),
    ]
    if _is_windows(server):
        found.timers.append(system.Timer(name='hypervclock', present='yes'))
    return found
