"""What flavor (``hw:NAME``) and image (``hw_NAME``) ask for, by the one name that both use."""

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.image_props import FALSE, TRUE, ImageProps


class Wishes:
    """Reads the wishes of one server.  All raise BuildAborted, ImageUnacceptable."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._specs, self._props = server.flavor.extra_specs, ImageProps(server.image)

    def text(self, name: str) -> str | None:
        """Return what is asked for; it is an error when both ask, and for different things."""
        spec, prop = self._specs.get(f'hw:{name}'), self._props.get(f'hw_{name}')
        if spec is not None and prop is not None and spec.lower() != prop.lower():
            raise self._refused(
                f'hw:{name} of the flavor is {spec}, hw_{name} of the image is {prop}'
            )
        return spec if spec is not None else prop

    def flag(self, name: str) -> bool | None:
        """Return what is asked for; None: nobody cares."""
        spec, prop = self._specs.get(f'hw:{name}'), self._props.get(f'hw_{name}')
        values = [self._bool(name, value) for value in (spec, prop) if value is not None]
        if len(set(values)) > 1:
            raise self._refused(f'flavor and image contradict each other in hw:{name}')
        return values[0] if values else None

    def number(self, name: str) -> int | None:
        value = self.text(name)
        try:
            return None if value is None else int(value)
        except ValueError:
            raise self._refused(f'hw:{name} is no number: {value}') from None

    def quota(self, name: str) -> str | None:
        """Return a limit from the flavor's ``quota:`` specs."""
        return self._specs.get(f'quota:{name}')

    def _bool(self, name: str, value: str) -> bool:
        if value.lower() not in TRUE + FALSE:
            raise self._refused(f'hw:{name} is neither yes nor no: {value}')
        return value.lower() in TRUE

    def _refused(self, reason: str) -> exception.BuildAborted:
        return exception.BuildAborted(uuid=self._server.uuid, reason=reason)
