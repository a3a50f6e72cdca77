"""The guest's processor: model, topology, weights."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import guest_features, guest_numa
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml.cpu import Cpu, CpuTune, Feature

LOG = logging.getLogger(__name__)


def build(host: Host, server: Server, arch: str, caps: DomainCapabilities) -> Cpu:
    """Return <cpu>.  Raises VirtDriverError when the configuration asks for the impossible."""
    sockets, cores, threads = topology(server)
    mode, model = _model(host, arch, caps)
    return Cpu(
        mode=mode,
        match='exact' if mode == 'custom' else None,
        model=model,
        sockets=sockets,
        cores=cores,
        threads=threads,
        address_mode=_address_mode(server),
        address_bits=Wishes(server).number('maxphysaddr_bits'),
        features=_features(host, server) if mode else [],
        cells=guest_numa.cells(server),
    )


def _address_mode(server: Server) -> str | None:
    """Return how many bits of addresses the guest is told: its own number, or the host's."""
    wishes = Wishes(server)
    mode = wishes.text('maxphysaddr_mode')
    if mode is None and wishes.number('maxphysaddr_bits'):
        return 'emulate'
    return mode


def _model(host: Host, arch: str, caps: DomainCapabilities) -> tuple[str | None, str | None]:
    """Return mode and, for custom, model."""
    mode = host.conf.libvirt.cpu_mode
    if mode is None:
        mode = _default_mode(host.virt_type, arch)
        if mode not in caps.cpu_modes:
            return None, None
    if mode == 'none':
        return None, None
    if mode != 'custom':
        return mode, None
    for model in host.conf.libvirt.cpu_models:
        if model in caps.cpu_models:
            return mode, model
    names = ', '.join(host.conf.libvirt.cpu_models) or 'nothing'
    raise exception.VirtDriverError(
        reason=f'This host can run no processor of [libvirt]cpu_models ({names}).'
    )


def _default_mode(virt_type: str, arch: str) -> str:
    if arch == 'aarch64':
        # Neither libvirt nor QEMU can tell the host's model there.
        return 'host-passthrough' if virt_type == 'kvm' else 'maximum'
    return 'host-model'


def _features(host: Host, server: Server) -> list[Feature]:
    found = [
        Feature(policy='disable' if flag.startswith('-') else 'require', name=flag.lstrip('+-'))
        for flag in host.conf.libvirt.cpu_model_extra_flags
    ]
    if guest_features.hides_hypervisor(server) and host.virt_type == 'qemu':
        # KVM has an element of its own for that.
        found.append(Feature(policy='disable', name='hypervisor'))
    return found


def topology(server: Server) -> tuple[int, int, int]:
    """Return (sockets, cores, threads): as flavor and image prefer, if that comes out even.

    Without a preference each processor is a socket, as far as the limits allow that; what
    is preferred but beyond them is refused.
    """
    vcpus = server.flavor.vcpus
    wanted = [_prefer(server, f'cpu_{unit}') for unit in _UNITS]
    limits = [_prefer(server, f'cpu_max_{unit}') for unit in _UNITS]
    for unit, asked, limit in zip(_UNITS, wanted, limits, strict=True):
        if asked and limit and asked > limit:
            raise exception.BuildAborted(
                uuid=server.uuid, reason=f'{asked} {unit} are asked for, {limit} are allowed'
            )
    most = [limit or vcpus for limit in limits]
    possible = [
        (sockets, cores, vcpus // (sockets * cores))
        for sockets in range(min(most[0], vcpus), 0, -1)
        for cores in range(min(most[1], vcpus), 0, -1)
        if vcpus % (sockets * cores) == 0 and vcpus // (sockets * cores) <= most[2]
    ]
    if not possible:
        raise exception.BuildAborted(
            uuid=server.uuid,
            reason=f'{vcpus} processors do not fit the limits of sockets, cores and threads',
        )
    # The most of the wishes first, then the fewest threads, then the most sockets.
    return max(possible, key=lambda one: (_met(one, wanted), -one[2], one[0]))


def _met(found: tuple[int, int, int], wanted: list[int | None]) -> int:
    return sum(one == other for one, other in zip(found, wanted, strict=True) if other)


_UNITS = ('sockets', 'cores', 'threads')


def _prefer(server: Server, name: str) -> int | None:
    """Read hw:NAME of the flavor, else hw_NAME of the image; both must be positive numbers."""
    text = server.flavor.extra_specs.get(f'hw:{name}')
    if text is None:
        number = ImageProps(server.image).number(f'hw_{name}')
    else:
        try:
            number = int(text)
        except ValueError:
            raise exception.BuildAborted(
                uuid=server.uuid, reason=f'hw:{name} of the flavor is no number: {text}'
            ) from None
    return number if number and number > 0 else None


def tune(host: Host, server: Server) -> CpuTune | None:
    """Return <cputune> from quota:cpu_* of the flavor and from the places of processors."""
    wishes = Wishes(server)
    found = CpuTune(
        shares=wishes.quota('cpu_shares'),
        period=wishes.quota('cpu_period'),
        quota=wishes.quota('cpu_quota'),
        pins=guest_numa.pins(host, server),
        emulator=guest_numa.emulator(host, server),
        scheduling=guest_numa.scheduling(host.conf, server),
    )
    return None if found == CpuTune() else found
