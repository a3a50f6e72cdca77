import pathlib

import pytest

from kilonova.common import exception
from kilonova.compute.virt.libvirt import console, privileged


def test_pieces_are_put_together_oldest_first(tmp_path: pathlib.Path) -> None:
    for name, text in {'': 'new', '.0': 'older ', '.1': 'oldest ', '.10': 'ancient '}.items():
        (tmp_path / f'console.log{name}').write_text(text)
    assert console.read(str(tmp_path)) == b'ancient oldest older new'


def test_only_the_end_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'console.log').write_bytes(b'b' * 1000)
    (tmp_path / 'console.log.0').write_bytes(b'x' + b'a' * console.LIMIT)
    found = console.read(str(tmp_path))
    assert len(found) == console.LIMIT
    assert found == b'a' * (console.LIMIT - 1000) + b'b' * 1000


def test_no_log(tmp_path: pathlib.Path) -> None:
    for directory in (tmp_path, tmp_path / 'gone'):
        with pytest.raises(exception.ConsoleNotAvailable):
            console.read(str(directory))


def test_log_of_root_is_read_by_the_helper(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / 'console.log'
    log.write_text('secret')
    plain = console.read_end

    def denied(path: str, limit: int) -> bytes:
        raise PermissionError(path)

    def helper(path: str, limit: int) -> bytes:
        return plain(path, limit)

    monkeypatch.setattr(console, 'read_end', denied)
    monkeypatch.setattr(privileged, 'read_console', helper)
    assert console.read(str(tmp_path)) == b'secret'


def test_the_helper_reads_console_logs_alone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileged.sys_admin, 'client_mode', False)
    (tmp_path / 'shadow').write_text('root:x')
    (tmp_path / 'console.log').symlink_to(tmp_path / 'shadow')
    with pytest.raises(PermissionError):
        privileged.read_console(str(tmp_path / 'console.log'), 10)
    (tmp_path / 'console.log.0').write_text('0123456789')
    assert privileged.read_console(str(tmp_path / 'console.log.0'), 4) == b'6789'
