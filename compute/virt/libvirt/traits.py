"""Traits of the host: processor features and what the driver can do, by os-traits' names."""

import os_traits
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities
from kilonova.compute.virt.libvirt.host import Host

LOG = logging.getLogger(__name__)

# libvirt's names that are not simply the trait's in capitals.
CPU_FEATURES = {
    '3dnow': ['HW_CPU_X86_3DNOW'],
    'aes': ['HW_CPU_X86_AESNI'],
    'amx-bf16': ['HW_CPU_X86_AMXBF16'],
    'amx-int8': ['HW_CPU_X86_AMXINT8'],
    'amx-tile': ['HW_CPU_X86_AMXTILE'],
    'avx512-vpopcntdq': ['HW_CPU_X86_AVX512VPOPCNTDQ'],
    'avx512vbmi': ['HW_CPU_X86_AVX512VBMI'],
    'bmi1': ['HW_CPU_X86_BMI'],
    'fma': ['HW_CPU_X86_FMA3'],
    'gfni': ['HW_CPU_X86_AVX512GFNI'],
    'hle': ['HW_CPU_X86_TSX'],
    'ibpb': ['HW_CPU_X86_AMD_IBPB'],
    'amd-no-ssb': ['HW_CPU_X86_AMD_NO_SSB'],
    'amd-ssbd': ['HW_CPU_X86_AMD_SSBD'],
    'virt-ssbd': ['HW_CPU_X86_AMD_VIRT_SSBD'],
    'md-clear': ['HW_CPU_X86_INTEL_MD_CLEAR'],
    'pcid': ['HW_CPU_X86_INTEL_PCID'],
    'pclmuldq': ['HW_CPU_X86_CLMUL'],
    'pclmulqdq': ['HW_CPU_X86_CLMUL'],
    'pni': ['HW_CPU_X86_SSE3'],
    'rtm': ['HW_CPU_X86_TSX'],
    'sha-ni': ['HW_CPU_X86_SHA'],
    'spec-ctrl': ['HW_CPU_X86_INTEL_SPEC_CTRL'],
    'ssbd': ['HW_CPU_X86_INTEL_SSBD'],
    'sse4.1': ['HW_CPU_X86_SSE41'],
    'sse4.2': ['HW_CPU_X86_SSE42'],
    'svm': ['HW_CPU_X86_SVM', 'HW_CPU_X86_AMD_SVM'],
    'vaes': ['HW_CPU_X86_AVX512VAES'],
    'vmx': ['HW_CPU_X86_VMX', 'HW_CPU_X86_INTEL_VMX'],
    'vpclmulqdq': ['HW_CPU_X86_AVX512VPCLMULQDQ'],
}
IMAGE_TYPES = ('AKI', 'AMI', 'ARI', 'ISO', 'QCOW2', 'RAW', 'VDI', 'VHD', 'VHDX', 'VMDK')
VIF_MODELS = ('E1000', 'E1000E', 'IGB', 'NE2K_PCI', 'PCNET', 'RTL8139', 'VIRTIO')
# The first QEMU version (as libvirt counts) that has it.
VIF_MODEL_SINCE = {'IGB': 8_000_000}


def cpu_traits(features: set[str]) -> set[str]:
    """Return the traits that stand for processor features."""
    known = set(os_traits.get_traits('HW_CPU_'))
    names: set[str] = set()
    for feature in features:
        plain = 'HW_CPU_X86_' + feature.upper().replace('-', '').replace('.', '')
        names.update(CPU_FEATURES.get(feature, [plain]))
    return names & known


def capability_traits(
    conf: cfg.ConfigOpts, arch: str, caps: DomainCapabilities, version: int
) -> set[str]:
    """Return the traits of what guests can have here."""
    wanted = {'COMPUTE_NODE', f'COMPUTE_ARCH_{arch.upper()}'}
    wanted |= {f'COMPUTE_IMAGE_TYPE_{name}' for name in IMAGE_TYPES}
    wanted |= {f'COMPUTE_STORAGE_BUS_{name.upper()}' for name in caps.disk_buses}
    wanted |= {f'COMPUTE_GRAPHICS_MODEL_{name.upper()}' for name in caps.video_models}
    wanted |= {
        f'COMPUTE_NET_VIF_MODEL_{name}'
        for name in VIF_MODELS
        if version >= VIF_MODEL_SINCE.get(name, 0)
    }
    wanted.add('COMPUTE_RESCUE_BFV')
    if 'virtiofs' in caps.filesystems:
        wanted.add('COMPUTE_STORAGE_VIRTIO_FS')
    if conf.libvirt.file_backed_memory:
        wanted.add('COMPUTE_MEM_BACKING_FILE')
    if conf.libvirt.swtpm_enabled and caps.tpm_models:
        wanted |= {'COMPUTE_SECURITY_TPM_2_0'}
        wanted |= {
            f'COMPUTE_SECURITY_{model.upper().replace("-", "_")}' for model in caps.tpm_models
        }
    wanted.add('COMPUTE_FIRMWARE_BIOS')
    if 'efi' in caps.firmware:
        wanted.add('COMPUTE_FIRMWARE_UEFI')
    return wanted & set(os_traits.get_traits('COMPUTE_'))


def host_traits(conf: cfg.ConfigOpts, host: Host) -> set[str]:
    """Return all traits of the host.  A processor that libvirt cannot describe has none."""
    arch = host.capabilities.arch
    machine = host.default_machine(arch)
    caps = host.domain_capabilities(arch, machine)
    found = capability_traits(conf, arch, caps, host.version())
    if _has_secure_boot(host, arch):
        found.add('COMPUTE_SECURITY_UEFI_SECURE_BOOT')
    return found | cpu_traits(_guest_features(host, arch, caps))


def _guest_features(host: Host, arch: str, caps: DomainCapabilities) -> set[str]:
    """Return the features that guests see with host-model: the most that a flavor can ask for."""
    if caps.host_model is None:
        return set()
    try:
        return host.expand_cpu(caps.host_model, arch, caps.machine)
    except connection.HypervisorError as error:
        LOG.warning('The processor features of the host are not known: %s', error)
        return set()


def _has_secure_boot(host: Host, arch: str) -> bool:
    if arch != 'x86_64':
        return False
    try:
        return host.domain_capabilities(arch, 'q35').secure_boot
    except connection.HypervisorError:
        return False  # this QEMU has no q35
