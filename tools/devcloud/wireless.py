"""Neutron without agents: a mechanism driver that binds every port and connects none.

Guests of the fake driver have no network interfaces, but Neutron's API shall answer as if they
had: ports become ACTIVE where they are bound, and Nova is told.
"""

from pathlib import Path

from devcloud.settings import write

NAME = 'wireless'
_DRIVER = """\
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class Wireless(api.MechanismDriver):
    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def initialize(self):
        pass

    def bind_port(self, context):
        context.set_binding(
            context.segments_to_bind[0][api.ID],
            portbindings.VIF_TYPE_OVS,
            {portbindings.CAP_PORT_FILTER: True},
            status=constants.PORT_STATUS_ACTIVE,
        )
"""


def environment(state: Path) -> dict[str, str]:
    """Make the driver a package that Neutron finds with the environment that is returned."""
    directory = state / 'drivers'
    metadata = directory / f'{NAME}-1.0.dist-info'
    write(directory / f'{NAME}_driver.py', _DRIVER, 0o644)
    write(metadata / 'METADATA', f'Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n', 0o644)
    entry = f'[neutron.ml2.mechanism_drivers]\n{NAME} = {NAME}_driver:Wireless\n'
    write(metadata / 'entry_points.txt', entry, 0o644)
    return {'PYTHONPATH': str(directory)}
