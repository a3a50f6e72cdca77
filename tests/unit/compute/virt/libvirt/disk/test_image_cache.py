import hashlib
import json
import os
import pathlib
import threading
import time
from typing import Any

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.compute.virt.libvirt.disk import inspection, qemu_img
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.tests.unit.compute.virt.libvirt.conftest import Images

IMAGE = Image(id='70a599e0-31e7-49b7-b260-868f441e862b', disk_format='qcow2')
NAME = hashlib.sha1(IMAGE.id.encode()).hexdigest()


@pytest.fixture(autouse=True)
def qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(conf: Any, image: Image, path: str) -> inspection.Inspected:
        with open(path, 'rb') as file:
            if file.read(3) == b'bad':
                raise exception.ImageUnacceptable(image_id=image.id, reason='bad')
        return inspection.Inspected('qcow2', 4096)

    def convert(self: Any, source: str, source_format: str, target: str, size: int) -> None:
        assert source_format == 'qcow2'
        pathlib.Path(target).write_bytes(b'r' * size)

    monkeypatch.setattr(inspection, 'inspect', inspect)
    monkeypatch.setattr(qemu_img.QemuImg, 'convert', convert)


@pytest.fixture
def cache(conf: cfg.ConfigOpts) -> ImageCache:
    return ImageCache(conf)


def _names(cache: ImageCache) -> list[str]:
    return sorted(os.listdir(cache.directory))


def test_fetched_once_and_kept_raw(cache: ImageCache, images: Images) -> None:
    found = [cache.image(IMAGE, images, None) for _ in range(2)]
    assert found[0] == found[1]
    assert (found[0].format, found[0].virtual_size) == ('raw', 4096)
    assert found[0].path == os.path.join(cache.directory, NAME)
    assert _names(cache) == [NAME, NAME + '.json']
    assert len(images.downloads) == 1


def test_a_file_of_another_size_is_fetched_again(cache: ImageCache, images: Images) -> None:
    path = cache.image(IMAGE, images, None).path
    os.truncate(path, 100)
    assert cache.image(IMAGE, images, None).virtual_size == 4096
    assert os.path.getsize(path) == 4096
    assert len(images.downloads) == 2


def test_at_the_same_time_it_is_fetched_once(cache: ImageCache) -> None:
    class Slow(Images):
        def download(self, image_id: str, path: str) -> None:
            time.sleep(0.2)
            super().download(image_id, path)

    images = Slow()
    threads = [threading.Thread(target=cache.image, args=(IMAGE, images, None)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(images.downloads) == 1


def test_kept_as_it_is(conf: cfg.ConfigOpts, cache: ImageCache, images: Images) -> None:
    conf.set_override('force_raw_images', False)
    assert cache.image(IMAGE, images, None).format == 'qcow2'
    assert cache.image(IMAGE, images, None).format == 'qcow2'
    assert len(images.downloads) == 1
    # Now it has to be raw: what is in the cache does not do.
    conf.set_override('force_raw_images', True)
    assert cache.image(IMAGE, images, None).format == 'raw'
    assert len(images.downloads) == 2


def test_novas_cache_is_taken_for_raw(cache: ImageCache, images: Images) -> None:
    os.makedirs(cache.directory)
    # A raw file whose guest has written the header of another format.
    pathlib.Path(cache.directory, NAME).write_bytes(b'QFI\xfb' + b'\0' * 100)
    found = cache.image(IMAGE, images, None)
    assert (found.format, found.virtual_size) == ('raw', 104)
    assert not images.downloads


def test_bad_image_leaves_nothing(cache: ImageCache) -> None:
    with pytest.raises(exception.ImageUnacceptable):
        cache.image(IMAGE, Images(b'bad'), None)
    assert _names(cache) == []


def test_too_large(cache: ImageCache, images: Images) -> None:
    with pytest.raises(exception.FlavorDiskSmallerThanImage):
        cache.image(IMAGE, images, 4095)
    assert _names(cache) == []
    cache.image(IMAGE, images, 4096)
    with pytest.raises(exception.FlavorDiskSmallerThanImage):
        cache.image(IMAGE, images, 1)


def test_failed_download_leaves_nothing(cache: ImageCache) -> None:
    class Broken(Images):
        def download(self, image_id: str, path: str) -> None:
            pathlib.Path(path).write_bytes(b'half')
            raise exception.FellowServiceError(service='image', reason='503')

    with pytest.raises(exception.FellowServiceError):
        cache.image(IMAGE, Broken(), None)
    assert _names(cache) == []


def test_rest_of_a_crash_is_no_obstacle(cache: ImageCache, images: Images) -> None:
    os.makedirs(cache.directory)
    for end in ('.part', '.converted', '.json'):
        pathlib.Path(cache.directory, NAME + end).write_text('{}')
    assert cache.image(IMAGE, images, None).virtual_size == 4096
    with open(os.path.join(cache.directory, NAME + '.json')) as file:
        assert json.load(file) == {'format': 'raw', 'virtual_size': 4096}


def test_own_files(cache: ImageCache) -> None:
    made: list[str] = []
    for _ in range(2):
        found = cache.made('swap_1', 8192, made.append)
    assert len(made) == 1
    assert os.path.getsize(found.path) == 8192


def test_own_file_that_cannot_be_made(cache: ImageCache) -> None:
    def fail(path: str) -> None:
        raise OSError('no mkfs')

    with pytest.raises(OSError):
        cache.made('swap_1', 8192, fail)
    assert _names(cache) == []
