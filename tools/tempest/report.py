"""What came out: counts, failures, and why tests were skipped."""

import collections
import dataclasses
import re
from pathlib import Path
from typing import Any

import subunit
import testtools
from stestr.repository import file as repository


@dataclasses.dataclass
class Outcome:
    passed: list[str] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    def take(self, test: dict[str, Any]) -> None:
        name, status = _short(test['id']), test['status']
        if status == 'success':
            # A class or module that could be set up is no test.
            if not name.startswith(('setUpClass', 'tearDownClass')):
                self.passed.append(name)
        elif status == 'skip':
            self.skipped[name] = _detail(test, 'reason')
        elif status not in ('exists', 'inprogress'):
            self.failed[name] = _last_line(_detail(test, 'traceback'))

    def text(self) -> str:
        lines = [f'{name}\n    {why}' for name, why in sorted(self.failed.items())]
        lines += [f'{count:4} skipped: {why}' for why, count in self.reasons()]
        return '\n'.join([*lines, self.counts()])

    def counts(self) -> str:
        return f'{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped'

    def reasons(self) -> list[tuple[str, int]]:
        """Why tests were skipped, the commonest reason first."""
        return collections.Counter(self.skipped.values()).most_common()

    def record(self, path: Path, excluded: Path) -> None:
        """Write the part of the documentation that this run decides."""
        lines = ['.. made by tools/tempest --record', '', f'**{self.counts()}.**', '']
        lines += _table('Failed', 'Why', sorted(self.failed.items()))
        lines += _table(
            'Skipped by Tempest', 'Tests', [(why, str(count)) for why, count in self.reasons()]
        )
        lines += _table('Not run', 'Why', _excluded(excluded))
        path.write_text('\n'.join(lines))


def runs(results: Path) -> int:
    """How many runs are kept in stestr's directory."""
    if not (results / '.stestr').exists():
        return 0
    return int(repository.RepositoryFactory().open(str(results)).count())


def read(results: Path) -> Outcome:
    """The outcome of the last run that is kept in stestr's directory."""
    outcome = Outcome()
    stream = repository.RepositoryFactory().open(str(results)).get_latest_run().get_subunit_stream()
    collector = testtools.StreamToDict(outcome.take)
    collector.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name='stdout').run(collector)
    collector.stopTestRun()
    return outcome


def _short(name: str) -> str:
    """Without the tags in brackets, and without what all names begin with."""
    name = re.sub(r'\[[^\]]*\]', '', name)
    return name.replace('tempest.api.compute.', '')


def _detail(test: dict[str, Any], name: str) -> str:
    for key, content in test['details'].items():
        if key.startswith(name):
            return str(content.as_text()).strip()
    return ''


def _last_line(traceback: str) -> str:
    """What was wrong, where the traceback says it at its end."""
    ends = [line for line in traceback.splitlines() if re.match(r'[\w.]+(Exception|Error|:)', line)]
    lines = traceback.splitlines()
    if not ends:
        return lines[-1] if lines else ''
    at = len(lines) - 1 - lines[::-1].index(ends[-1])
    return ' '.join(line.strip() for line in lines[at : at + 3])[:300]


def _excluded(path: Path) -> list[tuple[str, str]]:
    """Pattern and reason of each line of the list that stestr is given."""
    rows = []
    for line in path.read_text().splitlines():
        pattern, _, reason = line.partition(' # ')
        if reason and not line.startswith('#'):
            rows.append((pattern.strip(), reason.strip()))
    return rows


def _table(first: str, second: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    lines = ['.. list-table::', '   :header-rows: 1', '   :widths: auto', '']
    for left, right in [(first, second), *rows]:
        lines += [f'   * - {_plain(left)}', f'     - {_plain(right)}']
    return [*lines, '']


def _plain(text: str) -> str:
    """So that nothing in it is taken for markup."""
    text = re.sub(r'[0-9a-f]{8}-[0-9a-f-]{27}', 'ID', ' '.join(text.split()))[:200]
    return re.sub(r'([\\*`|_<>])', r'\\\1', text)
