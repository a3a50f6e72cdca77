"""<os>, <sysinfo>, <features> and <clock>."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Boot(Element):
    TAG = 'boot'

    dev: str = at('@dev', default='hd')


class FirmwareFeature(Element):
    TAG = 'feature'

    enabled: str = at('@enabled')
    name: str = at('@name')


class Os(Element):
    """What the guest starts from."""

    TAG = 'os'

    firmware: str | None = at('@firmware', default=None)
    arch: str = at('type/@arch')
    machine: str | None = at('type/@machine', default=None)
    type: str = at('type', default='hvm')
    firmware_features: list[FirmwareFeature] = at('firmware', default_factory=list)
    stateless: str | None = at('loader/@stateless', default=None)
    kernel: str | None = at('kernel', default=None)
    initrd: str | None = at('initrd', default=None)
    cmdline: str | None = at('cmdline', default=None)
    boot: list[Boot] = at('.', default_factory=list)
    menu: str | None = at('bootmenu/@enable', default=None)
    smbios: str | None = at('smbios/@mode', default=None)


class Entry(Element):
    TAG = 'entry'

    name: str = at('@name')
    value: str = at('.')


class SysInfo(Element):
    """DMI tables; cloud-init knows an OpenStack server by their product name."""

    TAG = 'sysinfo'

    type: str = at('@type', default='smbios')
    system: list[Entry] = at('system', default_factory=list)


class Hyperv(Element):
    """What Windows knows to make use of when it runs on a hypervisor."""

    TAG = 'hyperv'

    relaxed: str | None = at('relaxed/@state', default=None)
    vapic: str | None = at('vapic/@state', default=None)
    spinlocks: str | None = at('spinlocks/@state', default=None)
    retries: int | None = at('spinlocks/@retries', default=None)
    vpindex: str | None = at('vpindex/@state', default=None)
    runtime: str | None = at('runtime/@state', default=None)
    synic: str | None = at('synic/@state', default=None)
    reset: str | None = at('reset/@state', default=None)
    frequencies: str | None = at('frequencies/@state', default=None)
    reenlightenment: str | None = at('reenlightenment/@state', default=None)
    tlbflush: str | None = at('tlbflush/@state', default=None)
    ipi: str | None = at('ipi/@state', default=None)
    vendor: str | None = at('vendor_id/@state', default=None)
    vendor_id: str | None = at('vendor_id/@value', default=None)


class Features(Element):
    TAG = 'features'

    acpi: bool = at('acpi', default=True)
    apic: bool = at('apic', default=True)
    vmcoreinfo: str | None = at('vmcoreinfo/@state', default=None)
    hyperv: Hyperv | None = at('.', default=None)
    kvm_hidden: str | None = at('kvm/hidden/@state', default=None)
    pmu: str | None = at('pmu/@state', default=None)
    smm: str | None = at('smm/@state', default=None)
    ioapic: str | None = at('ioapic/@driver', default=None)
    tb_cache: int | None = at('tcg/tb-cache', default=None)
    tb_cache_unit: str | None = at('tcg/tb-cache/@unit', default=None)


class Timer(Element):
    TAG = 'timer'

    name: str = at('@name')
    tickpolicy: str | None = at('@tickpolicy', default=None)
    present: str | None = at('@present', default=None)


class Clock(Element):
    TAG = 'clock'

    offset: str = at('@offset', default='utc')
    timers: list[Timer] = at('.', default_factory=list)
