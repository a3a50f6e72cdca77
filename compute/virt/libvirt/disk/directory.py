"""A server's directory below instances_path, and which of them are this host's."""

import os
import re
import shutil

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
# Names the node that works with the directory: with a shared instances_path every host sees
# all of them, and only its own ones are a host's to clean up.
OWNER = 'node'
DOOMED = '_del'


class Directories:
    """Makes, finds and removes servers' directories of one node."""

    def __init__(self, instances_path: str, node: str) -> None:
        self.root, self._node = instances_path, node

    def path(self, uuid: str) -> str:
        return os.path.join(self.root, uuid)

    def exists(self, uuid: str) -> bool:
        return os.path.isdir(self.path(uuid))

    def is_ours(self, uuid: str) -> bool:
        """Whether the directory is there, and this node's or nobody's."""
        return self.exists(uuid) and self._owner(self.path(uuid)) in (None, self._node)

    def create(self, uuid: str) -> str:
        """Make the directory of a server, marked as ours."""
        path = self.path(uuid)
        os.makedirs(path)
        with open(os.path.join(path, OWNER), 'w') as file:
            file.write(self._node)
        return path

    def ours(self) -> set[str]:
        """Return the servers whose directory is marked as ours."""
        return {
            entry.name
            for entry in os.scandir(self.root)
            if UUID.fullmatch(entry.name) and self._owner(entry.path) == self._node
        }

    def remove(self, uuid: str) -> None:
        """Remove a server's directory.  Nothing if it is gone or another node's.

        It is renamed first: a crash on the way leaves no half a server, and the rest is
        swept at the next start.
        """
        path = self.path(uuid)
        owner = self._owner(path)
        if owner is not None and owner != self._node:
            LOG.warning('The directory of %s belongs to node %s; it stays', uuid, owner)
            return
        doomed = path + DOOMED
        if os.path.isdir(doomed):
            shutil.rmtree(doomed)
        try:
            os.rename(path, doomed)
        except FileNotFoundError:
            return
        shutil.rmtree(doomed)

    def sweep(self) -> None:
        """Finish the removals that were cut short."""
        for entry in os.scandir(self.root):
            uuid = entry.name.removesuffix(DOOMED)
            if uuid != entry.name and UUID.fullmatch(uuid):
                owner = self._owner(entry.path)
                if owner in (None, self._node):
                    LOG.info('Removing what is left of %s', uuid)
                    shutil.rmtree(entry.path)

    @staticmethod
    def _owner(path: str) -> str | None:
        try:
            with open(os.path.join(path, OWNER)) as file:
                return file.read().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
