"""Where other hosts are."""

from oslo_config import cfg


def own_address(conf: cfg.ConfigOpts) -> str:
    """Return where others reach this host."""
    return str(conf.libvirt.live_migration_inbound_addr or conf.libvirt.migration_inbound_addr)


def libvirt(conf: cfg.ConfigOpts, address: str) -> str:
    """Return the URI of a host's libvirt."""
    scheme = conf.libvirt.live_migration_scheme or 'tcp'
    template = conf.libvirt.live_migration_uri or f'qemu+{scheme}://%s/system'
    return str(template) % _bracketed(address)


def memory(address: str) -> str:
    """Return where QEMU is to send a guest's memory."""
    return f'tcp://{_bracketed(address)}'


def _bracketed(address: str) -> str:
    return f'[{address}]' if ':' in address and not address.startswith('[') else address
