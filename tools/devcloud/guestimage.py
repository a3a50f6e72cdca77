"""The image that servers boot from: a small guest, or with the fake driver an empty disk."""

import hashlib
from pathlib import Path

from devcloud import apt, commands
from devcloud.commands import run
from devcloud.progress import say
from devcloud.settings import CHECKOUT, Settings

BUILDER = CHECKOUT / 'tools/build-guest-image'


def path(settings: Settings) -> Path:
    return settings.images / 'kilonova-guest.qcow2'


def build(settings: Settings) -> None:
    if settings.fake:
        if not path(settings).exists():
            run(['qemu-img', 'create', '-q', '-f', 'qcow2', path(settings), '64M'])
        return
    key = hashlib.sha256(BUILDER.read_bytes()).hexdigest()
    if settings.is_done('guest-image', key) and path(settings).exists():
        say('guest image', f'is in {path(settings)}')
        return
    say('guest image', 'building it from Debian packages')
    log = settings.log / 'guest-image.log'
    apt.refresh_lists(log)
    env = commands.environment(
        {'GUEST_IMAGE_CACHE': str(settings.images / 'packages')}, download=True
    )
    run(['bash', BUILDER, '-o', path(settings)], env=env, log=log, timeout=900)
    settings.set_done('guest-image', key)
