"""Tables for the terminal, drawn as Nova's commands draw them."""

from collections.abc import Iterable, Sequence


def draw(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a frame; cells are centred under their titles."""
    cells = [['' if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    rule = '+' + '+'.join('-' * (width + 2) for width in widths) + '+'

    def line(values: Sequence[str]) -> str:
        centred = (f' {v.center(w)} ' for v, w in zip(values, widths, strict=True))
        return '|' + '|'.join(centred) + '|'

    return '\n'.join([rule, line(titles), rule, *map(line, cells), rule])


def box(title: str, blocks: Iterable[Sequence[str]]) -> str:
    """Return a frame of one column: a title, then blocks of lines with rules between them."""
    blocks = [list(block) for block in blocks]
    width = max(len(line) for line in [title, *(line for block in blocks for line in block)])
    rule = '+' + '-' * (width + 2) + '+'
    lines = [rule, f'| {title.ljust(width)} |', rule]
    for block in blocks:
        lines += [f'| {line.ljust(width)} |' for line in block] + [rule]
    return '\n'.join(lines)
