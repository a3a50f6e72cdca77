"""The guest's processor: model, topology, weights."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.image_props import ImageProps
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
        features=_features(host) if mode else [],
    )


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


def _features(host: Host) -> list[Feature]:
    return [
        Feature(policy='disable' if flag.startswith('-') else 'require', name=flag.lstrip('+-'))
        for flag in host.conf.libvirt.cpu_model_extra_flags
    ]


def topology(server: Server) -> tuple[int, int, int]:
    """Return (sockets, cores, threads): as flavor and image prefer, if that comes out even.

    Without a preference each processor is a socket; a limit on sockets makes cores.
    """
    vcpus = server.flavor.vcpus
    sockets, cores, threads = (_prefer(server, f'cpu_{unit}') for unit in _UNITS)
    most = _prefer(server, 'cpu_max_sockets') or vcpus
    if sockets is None and cores is None and threads is None:
        even = max(n for n in range(1, min(most, vcpus) + 1) if vcpus % n == 0)
        return even, vcpus // even, 1
    threads = threads or 1
    if sockets is None:
        cores = cores or 1
        sockets = max(vcpus // (cores * threads), 1)
    elif cores is None:
        cores = max(vcpus // (sockets * threads), 1)
    if sockets * cores * threads == vcpus:
        return sockets, cores, threads
    return vcpus, 1, 1


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


def tune(server: Server) -> CpuTune | None:
    """Return <cputune> from quota:cpu_* of the flavor, if there are any."""
    specs = server.flavor.extra_specs
    found = CpuTune(
        shares=specs.get('quota:cpu_shares'),
        period=specs.get('quota:cpu_period'),
        quota=specs.get('quota:cpu_quota'),
    )
    return None if found == CpuTune() else found
