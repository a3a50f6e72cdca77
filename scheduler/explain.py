"""Why there is no host: what each stage left, and the reasons, counted."""

import collections
from collections.abc import Callable, Iterable


class Report:
    """One attempt's stages.  Reasons are only worked out when they are asked for."""

    def __init__(self) -> None:
        self._stages: list[tuple[str, int, int, Callable[[], Iterable[str]]]] = []

    def add(
        self, stage: str, before: int, left_out: int, reasons: Callable[[], Iterable[str]]
    ) -> None:
        """Note a stage that left hosts out; ``reasons`` returns one for each of them."""
        if left_out:
            self._stages.append((stage, before, left_out, reasons))

    def text(self) -> str:
        """Return e.g. ``ComputeFilter: 3 of 3 hosts left out: 2 disabled, 1 down since …``."""
        return '; '.join(
            f'{stage}: {left_out} of {before} host{"s" if before != 1 else ""} left out: '
            f'{count(reasons())}'
            for stage, before, left_out, reasons in self._stages
        )


def count(reasons: Iterable[str]) -> str:
    """Return alike reasons with their number, the most frequent first."""
    found = collections.Counter(reasons).most_common()
    words = [f'{number} {reason}' for reason, number in found[:5]]
    rest = sum(number for _, number in found[5:])
    return ', '.join(words + ([f'{rest} for other reasons'] if rest else []))
