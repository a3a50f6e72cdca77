"""Whether two hosts have one instances_path.

Each host writes a word that nobody else knows into a file that carries its node's name;
who finds another host's word in the own directory shares it.
"""

import os
import secrets

MARKS = '.hosts'


class Mark:
    """This host's word."""

    def __init__(self, instances_path: str, node: str) -> None:
        self._folder, self._node = os.path.join(instances_path, MARKS), node
        self._word = ''

    def write(self) -> dict[str, str]:
        """See that the file is there; returns what another host is to look for."""
        if not self._word:
            self._word = secrets.token_hex(16)
            os.makedirs(self._folder, exist_ok=True)
            path = os.path.join(self._folder, self._node)
            with open(path + '.new', 'w') as file:
                file.write(self._word)
            os.replace(path + '.new', path)
        return {'node': self._node, 'word': self._word}

    def sees(self, other: dict[str, str]) -> bool:
        """Whether the directory here is that of the host with that mark."""
        try:
            with open(os.path.join(self._folder, os.path.basename(other['node']))) as file:
                return file.read() == other['word']
        except FileNotFoundError:
            return False
