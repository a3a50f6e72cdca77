"""Which servers get a configuration drive, and what is on it."""

from collections.abc import Callable

import msgspec
from oslo_config import cfg

from kilonova.common.metadata import devices, tree
from kilonova.common.objects.network import VIF
from kilonova.common.objects.place import Places
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
) -> Callable[[Places | None], dict[str, bytes]]:
    """Return what makes the drive's files by path, when it is known where the devices are.

    None: as recorded.  Vendors are asked now, while nothing has been made yet.
    """
    told = msgspec.structs.replace(server, network_info=vifs)
    made = tree.Tree(
        told, tree.options(conf), personality=personality, admin_password=admin_password
    )
    made.ask_vendors()

    def files(places: Places | None) -> dict[str, bytes]:
        if places is not None:
            devices.put(places, told.network_info, told.block_devices)
        return made.files()

    return files
