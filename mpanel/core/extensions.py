"""What apps above give to an app below, which may not import them: registered in `apps.py`."""

from collections.abc import Iterator


class Extensions[T]:
    """Functions or objects that apps above registered, in that order; each counts once.

    `what` names them in the error of a process in which the one that is needed is missing.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._registered: list[T] = []

    def register(self, extension: T) -> T:
        """Add it; it is returned, so that this is a decorator, too."""
        if extension not in self._registered:
            self._registered.append(extension)
        return extension

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._registered))

    def __len__(self) -> int:
        return len(self._registered)

    def only(self) -> T:
        """The one that was registered. Raises `LookupError` unless there is exactly one."""
        if len(self._registered) != 1:
            raise LookupError(f"{self.what}: {len(self._registered)} are registered, not one.")
        return self._registered[0]
