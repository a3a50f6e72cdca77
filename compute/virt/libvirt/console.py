"""Reads what guests have written to their first serial port."""

import os
import re

from kilonova.common import exception

# As much as Nova gives: a guest can write more than anybody wants to carry around.
LIMIT = 100 * 1024
CONSOLE_LOG = 'console.log'


def read(directory: str) -> bytes:
    """Return the end of the log.  Raises ConsoleNotAvailable."""
    found, room = [], LIMIT
    for path in _pieces(directory):
        piece = _read_end(path, room)
        found.append(piece)
        room -= len(piece)
        if room <= 0:
            break
    if not found:
        raise exception.ConsoleNotAvailable
    return b''.join(reversed(found))


def _pieces(directory: str) -> list[str]:
    """Return the log and its older pieces, which virtlogd numbers from 0, newest first."""
    rotated = re.compile(re.escape(CONSOLE_LOG) + r'\.(\d+)')
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    matches = [match for match in map(rotated.fullmatch, names) if match]
    older = [match[0] for match in sorted(matches, key=lambda match: int(match[1]))]
    current = [CONSOLE_LOG] if CONSOLE_LOG in names else []
    return [os.path.join(directory, name) for name in current + older]


def _read_end(path: str, limit: int) -> bytes:
    try:
        return read_end(path, limit)
    except FileNotFoundError:
        return b''  # rotated away in this moment
    except PermissionError:
        from kilonova.compute.virt.libvirt import privileged

        return bytes(privileged.read_console(path, limit))


def read_end(path: str, limit: int) -> bytes:
    """Return the last ``limit`` bytes of a file."""
    with open(path, 'rb') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - limit))
        return file.read(limit)
