"""What the inspectors refuse by themselves; tests/integration has real images."""

import pathlib
import struct
from typing import Any

import pytest
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.compute.virt.libvirt.disk import inspection, qemu_img

SIZE = 1 << 20


def qcow2(backing: int = 0, incompatible: int = 0, size: int = SIZE) -> bytes:
    """Return the head of a version 3 image."""
    head = struct.pack('>4sIQIIQ', b'QFI\xfb', 3, backing, 8 if backing else 0, 16, size)
    head += struct.pack('>IIQQIIQ', 0, 1, 0, 0, 1, 0, 0)
    head += struct.pack('>QQQII', incompatible, 0, 0, 4, 104)
    return head.ljust(65536, b'\0')


@pytest.fixture
def info(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What qemu-img is going to say."""
    found: dict[str, Any] = {'virtual-size': SIZE}
    monkeypatch.setattr(qemu_img.QemuImg, 'info', lambda self, path, kind: found)
    monkeypatch.setattr(qemu_img.QemuImg, 'check', lambda self, path, kind: True)
    return found


def _inspect(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path, claim: str, content: bytes
) -> inspection.Inspected:
    path = tmp_path / 'image'
    path.write_bytes(content)
    return inspection.inspect(conf, Image(id='i', disk_format=claim), str(path))


def test_good_ones(conf: cfg.ConfigOpts, tmp_path: pathlib.Path, info: dict[str, Any]) -> None:
    assert _inspect(conf, tmp_path, 'qcow2', qcow2()) == inspection.Inspected('qcow2', SIZE)
    assert _inspect(conf, tmp_path, 'raw', b'\1' * SIZE).format == 'raw'
    assert _inspect(conf, tmp_path, 'ari', b'\1' * SIZE).format == 'raw'


@pytest.mark.parametrize(
    ('claim', 'content', 'reason'),
    [
        ('qcow2', qcow2(backing=200), 'backing_file'),
        ('qcow2', qcow2(incompatible=1 << 2), 'data_file'),
        ('qcow2', qcow2(incompatible=1 << 40), 'unknown_features'),
        ('raw', qcow2(), 'its content is qcow2'),
        ('qcow2', b'\0' * SIZE, 'its content is raw'),
        ('qcow2', qcow2()[:60], 'its content is raw'),
        ('iso', b'\0' * SIZE, 'its content is raw'),
        ('qed', b'QED\0' + b'\0' * 600, 'not supported'),
        ('raw', b'QED\0' + b'\0' * 65536, 'its content is qed'),
        ('ploop', b'\0' * SIZE, 'not supported'),
        ('raw', b'', 'empty'),
    ],
)
def test_refused(
    conf: cfg.ConfigOpts,
    tmp_path: pathlib.Path,
    info: dict[str, Any],
    claim: str,
    content: bytes,
    reason: str,
) -> None:
    with pytest.raises(exception.ImageUnacceptable, match=reason):
        _inspect(conf, tmp_path, claim, content)


@pytest.mark.parametrize(
    'said',
    [
        {'backing-filename': '/etc/passwd'},
        {'full-backing-filename': '/etc/passwd'},
        {'format-specific': {'data': {'data-file': '/etc/passwd'}}},
        {'encrypted': True},
    ],
)
def test_qemu_sees_more(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path, info: dict[str, Any], said: dict[str, Any]
) -> None:
    info.update(said)
    with pytest.raises(exception.ImageUnacceptable):
        _inspect(conf, tmp_path, 'qcow2', qcow2())


def test_the_larger_size_counts(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path, info: dict[str, Any]
) -> None:
    assert _inspect(conf, tmp_path, 'qcow2', qcow2(size=5 * SIZE)).virtual_size == 5 * SIZE
    info['virtual-size'] = 9 * SIZE
    assert _inspect(conf, tmp_path, 'qcow2', qcow2()).virtual_size == 9 * SIZE


def test_qemu_img_that_gives_up(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any) -> None:
        raise processutils.ProcessExecutionError(exit_code=-9)

    monkeypatch.setattr(qemu_img.QemuImg, 'info', killed)
    with pytest.raises(exception.ImageUnacceptable, match='cannot read'):
        _inspect(conf, tmp_path, 'qcow2', qcow2())


@pytest.mark.parametrize(
    ('details', 'reason'),
    [
        ({'create-type': 'monolithicFlat'}, 'not allowed'),
        ({'create-type': 'streamOptimized', 'extents': [{'filename': '/etc/passwd'}]}, 'extents'),
    ],
)
def test_vmdk(
    conf: cfg.ConfigOpts,
    tmp_path: pathlib.Path,
    info: dict[str, Any],
    details: dict[str, Any],
    reason: str,
) -> None:
    conf.set_override('disable_deep_image_inspection', True, 'workarounds')
    info['format-specific'] = {'data': details}
    with pytest.raises(exception.ImageUnacceptable, match=reason):
        _inspect(conf, tmp_path, 'vmdk', b'KDMV'.ljust(SIZE, b'\0'))
