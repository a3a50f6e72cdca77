"""Which function of this room does which kind of work."""

from kilonova.common.objects import work
from kilonova.compute import suspending
from kilonova.compute.work import Handler

HANDLERS: dict[type, Handler] = {
    work.Pause: suspending.pause,
    work.Unpause: suspending.unpause,
    work.Suspend: suspending.suspend,
    work.Resume: suspending.resume,
}
