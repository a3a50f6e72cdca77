"""Answers beside Nova's published examples: the same keys, and values of the same kind."""

from typing import Any

from kilonova.tests.unit.api import reference


def sample(name: str) -> Any:
    """Return one of the examples by its path; the test is skipped where they are not."""
    folder, _, rest = name.partition('/')
    reference.file('api_samples')
    found: dict[str, Any] = dict(reference.samples(folder))
    return found[f'{folder}/{rest}']


def check_like(answer: Any, example: Any, at: str = '') -> None:
    """Fail unless an answer is built as an example is; null fits everything."""
    if answer is None or example is None:
        return
    if isinstance(example, dict):
        assert isinstance(answer, dict) and set(answer) == set(example), (at, answer, example)
        for key, part in example.items():
            check_like(answer[key], part, f'{at}/{key}')
    elif isinstance(example, list):
        assert isinstance(answer, list), (at, answer)
        for number, item in enumerate(answer if example else ()):
            check_like(item, example[min(number, len(example) - 1)], f'{at}/{number}')
    else:
        kinds = (int, float) if isinstance(example, int | float) else type(example)
        assert isinstance(answer, kinds), (at, answer, example)
