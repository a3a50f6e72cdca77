"""Downloads from Glance: verified, limited, repeated."""

import hashlib
import pathlib
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.image import Image
from kilonova.compute import images
from kilonova.tests.unit.compute.here import CONTEXT, Here

DATA = bytes(range(256)) * 8192


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, 'RETRY_PAUSE', 0.01)
    monkeypatch.setattr(images, 'CHUNK', 1 << 16)


def download(here: Here, image_id: str, path: pathlib.Path, known: Image | None = None) -> None:
    images.GlanceImages(here.conf, CONTEXT, known).download(image_id, str(path))


def test_the_bytes_come_whole(here: Here, tmp_path: pathlib.Path) -> None:
    image_id = here.glance.add(data=DATA)
    download(here, image_id, tmp_path / 'image')
    assert (tmp_path / 'image').read_bytes() == DATA
    assert len(here.glance.requests) == 2


def test_what_is_known_is_not_asked_again(here: Here, tmp_path: pathlib.Path) -> None:
    image_id = here.glance.add(data=DATA)
    digest = hashlib.sha512(DATA).hexdigest()
    known = Image(id=image_id, size=len(DATA), os_hash_algo='sha512', os_hash_value=digest)
    download(here, image_id, tmp_path / 'image', known)
    assert here.glance.requests == [('GET', f'/v2/images/{image_id}/file')]


@pytest.mark.parametrize(
    'fields, words',
    [
        ({'os_hash_value': '0' * 128}, 'sha512 hash'),
        ({'os_hash_algo': None, 'os_hash_value': None, 'checksum': '0' * 32}, 'md5 hash'),
        ({'size': 100}, 'larger than the 100 bytes'),
    ],
)
def test_what_is_not_as_announced_is_refused(
    here: Here, tmp_path: pathlib.Path, fields: dict[str, Any], words: str
) -> None:
    image_id = here.glance.add(data=DATA, **fields)
    with pytest.raises(exception.ImageUnacceptable, match=words):
        download(here, image_id, tmp_path / 'image')
    assert list(tmp_path.iterdir()) == []
    assert len(here.glance.requests) == 2


def test_data_that_ends_early_is_tried_again(here: Here, tmp_path: pathlib.Path) -> None:
    image_id = here.glance.add(data=DATA, size=len(DATA) + 1)
    with pytest.raises(exception.FellowServiceError, match='bytes came'):
        download(here, image_id, tmp_path / 'image')
    assert here.glance.requests.count(('GET', f'/v2/images/{image_id}/file')) == 4
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_tried_again(here: Here, tmp_path: pathlib.Path) -> None:
    image_id = here.glance.add(data=DATA)
    here.conf.set_override('num_retries', 1, group='glance')
    here.glance.break_with(503, '/file')
    with pytest.raises(exception.FellowServiceError):
        download(here, image_id, tmp_path / 'image')
    assert here.glance.requests.count(('GET', f'/v2/images/{image_id}/file')) == 2
    here.glance.mend()
    download(here, image_id, tmp_path / 'image')


def test_a_missing_image(here: Here, tmp_path: pathlib.Path) -> None:
    with pytest.raises(exception.ImageNotFound):
        download(here, '9d6ff0e2-46f9-4a5c-b08c-4e6f8a9de0ff', tmp_path / 'image')


def test_an_expired_token_does_not_fail_a_build(
    here: Here, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = here.glance.add(data=DATA)
    known = Image(id=image_id, size=len(DATA), checksum=here.glance.images[image_id]['checksum'])
    context = RequestContext(auth_token='old', user_id='u', overwrite=False)
    seen: list[str | None] = []
    source = images.GlanceImages(here.conf, context, known)
    get = source._get

    def refuse_user(asked: str, client: Any) -> Any:
        answer = get(asked, client)
        if client.auth is not None and client.auth.get_token(None) == 'old':
            answer.status_code = 401
        seen.append(str(answer.status_code))
        return answer

    monkeypatch.setattr(source, '_get', refuse_user)
    source.download(image_id, str(tmp_path / 'image'))
    assert seen == ['401', '200']


def test_an_existing_file_is_not_overwritten(here: Here, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'image').write_text('mine')
    with pytest.raises(FileExistsError):
        download(here, here.glance.add(data=DATA), tmp_path / 'image')
    assert (tmp_path / 'image').read_text() == 'mine'
