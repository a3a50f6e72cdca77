"""A server's directory below instances_path, and which of them are this host's."""

import contextlib
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
ASIDE = '_resize'
ADOPTED = 'adopted'


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

    # -- servers that move

    def adopt(self, uuid: str) -> None:
        """Mark a directory as ours that another node has worked with."""
        self._write(uuid, OWNER, self._node)

    def is_adoptable(self, uuid: str) -> bool:
        """Whether there is a directory with another node's disks, or that was one."""
        path = self.path(uuid)
        owner = self._owner(path)
        was = os.path.exists(os.path.join(path, ADOPTED))
        return was or (owner is not None and owner != self._node)

    def take_over(self, uuid: str) -> str:
        """Adopt a directory so that it is known for one with somebody's disks, also to who
        begins again after a crash.
        """
        owner = self._owner(self.path(uuid))
        if owner is not None and owner != self._node:
            self._write(uuid, ADOPTED, owner)
        self.adopt(uuid)
        return self.path(uuid)

    def hand_over(self, uuid: str) -> None:
        """Undo that; nothing if the directory is another node's by now."""
        if not self.is_ours(uuid):
            return
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.path(uuid), ADOPTED)) as file:
                self._write(uuid, OWNER, file.read())

    def _write(self, uuid: str, name: str, content: str) -> None:
        path = os.path.join(self.path(uuid), name)
        with open(path + '.new', 'w') as file:
            file.write(content)
        os.replace(path + '.new', path)

    def aside(self, uuid: str) -> str:
        """Return where the directory of a server is kept that has left, for the way back."""
        return self.path(uuid) + ASIDE

    def set_aside(self, uuid: str) -> None:
        """Nothing when that was done."""
        if not os.path.isdir(self.aside(uuid)):
            os.rename(self.path(uuid), self.aside(uuid))

    def bring_back(self, uuid: str) -> None:
        """Nothing when there is nothing aside."""
        if os.path.isdir(self.aside(uuid)):
            os.rename(self.aside(uuid), self.path(uuid))

    def drop_aside(self, uuid: str) -> None:
        """Remove what was kept, unless it is another node's."""
        if self._owner(self.aside(uuid)) not in (None, self._node):
            return
        doomed = self.path(uuid) + DOOMED
        if os.path.isdir(doomed):
            shutil.rmtree(doomed)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.aside(uuid), doomed)
            shutil.rmtree(doomed)

    def left(self) -> set[str]:
        """Return the servers that have left and whose directory is kept by us."""
        return {
            entry.name.removesuffix(ASIDE)
            for entry in os.scandir(self.root)
            if entry.name.endswith(ASIDE)
            and UUID.fullmatch(entry.name.removesuffix(ASIDE))
            and self._owner(entry.path) == self._node
        }

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
