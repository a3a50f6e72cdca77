"""Sets of processors as text, such as "0-3,^2,8"."""

import re
from collections.abc import Iterable

from kilonova.common import exception


def parse(text: str) -> set[int]:
    """Read a list, in which ^ takes away.  Raises VirtDriverError."""
    keep: set[int] = set()
    drop: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(','))):
        match = re.fullmatch(r'(\^?)(\d+)(?:-(\d+))?', part)
        if match is None:
            raise exception.VirtDriverError(reason=f'"{text}" is no list of processors.')
        first, last = int(match[2]), int(match[3] or match[2])
        (drop if match[1] else keep).update(range(first, last + 1))
    return keep - drop


def render(numbers: Iterable[int]) -> str:
    """Write a list as short as it can be."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ','.join(str(a) if a == b else f'{a}-{b}' for a, b in parts)
