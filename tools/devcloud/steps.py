"""Run steps side by side, each as soon as the steps that it needs are done."""

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from devcloud import commands, progress
from devcloud.progress import StepError, say


@dataclass
class Step:
    name: str
    action: Callable[[], None]
    needs: tuple[str, ...]
    done: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0.0


class StepFailed(Exception):
    """One step failed; its name and the error."""

    def __init__(self, step: str, error: StepError):
        super().__init__(f'{step}: {error.reason}')
        self.step = step
        self.error = error


class Plan:
    """Steps and their order."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._changed = threading.Condition()
        self._failure: StepFailed | None = None
        self._running: set[str] = set()

    def add(self, name: str, action: Callable[[], None], *needs: str) -> None:
        unknown = set(needs) - set(self._steps)
        if unknown:
            raise ValueError(f'{name} needs steps that come later: {unknown}')
        self._steps[name] = Step(name, action, needs)

    def run(self) -> None:
        """Run all steps; the first failure stops the others and is raised."""
        waiting = dict(self._steps)
        with self._changed:
            while (waiting or self._running) and not self._failure:
                for step in [s for s in waiting.values() if self._ready(s)]:
                    del waiting[step.name]
                    self._running.add(step.name)
                    # A daemon thread: one that hangs cannot keep a failed run from ending.
                    threading.Thread(target=self._work, args=(step,), daemon=True).start()
                # A time limit, so that Ctrl-C is noticed while waiting.
                self._changed.wait(1)
            if not self._failure:
                return
        commands.abort()
        self._let_the_others_end()
        raise self._failure

    def _ready(self, step: Step) -> bool:
        return all(self._steps[name].done.is_set() for name in step.needs)

    def _work(self, step: Step) -> None:
        start = time.monotonic()
        failure = None
        try:
            step.action()
        except StepError as error:
            failure = StepFailed(step.name, error)
        except Exception as error:
            progress.log_only(traceback.format_exc())
            failure = StepFailed(step.name, StepError(f'{type(error).__name__}: {error}'))
        step.seconds = time.monotonic() - start
        with self._changed:
            self._running.discard(step.name)
            if failure:
                # Later ones are mostly consequences of the first.
                self._failure = self._failure or failure
            else:
                step.done.set()
                say(step.name, f'done ({step.seconds:.1f} s)')
            self._changed.notify()

    def _let_the_others_end(self) -> None:
        end = time.monotonic() + 15
        with self._changed:
            while self._running and time.monotonic() < end:
                self._changed.wait(0.5)
