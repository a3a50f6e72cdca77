"""Which servers get a configuration drive, and what is on it."""

import msgspec
from oslo_config import cfg

from kilonova.common.metadata import tree
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server


def is_wanted(conf: cfg.ConfigOpts, server: Server) -> bool:
    """Return whether the user, the image or the operator wants one."""
    return (
        server.config_drive
        or conf.force_config_drive
        or server.image.properties.get('img_config_drive') == 'mandatory'
    )


def build(
    conf: cfg.ConfigOpts,
    server: Server,
    vifs: list[VIF],
    personality: list[tuple[str, str]],
    admin_password: str | None,
) -> dict[str, bytes]:
    """Return the drive's files by path."""
    told = msgspec.structs.replace(server, network_info=vifs)
    return tree.Tree(
        told, tree.options(conf), personality=personality, admin_password=admin_password
    ).files()
