"""How the terminal is told: bars where somebody looks at it, lines where a program reads it."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from wizard.onboarding import Progress

# What a bar's own columns take of a line: name, bar, percent, time.
BESIDE = 48
LONGEST_VALUE = 60  # characters of a record's value; its name is never cut


class Terminal:
    """The steps of one run. Text is never cut nor broken by us: a name can be copied whole."""

    def __init__(self, steps: Sequence[str], file: TextIO | None = None) -> None:
        """`file`: where to write, the standard output by default."""
        self.console = Console(file=file, highlight=False, markup=False, soft_wrap=True)
        self._steps = steps
        self._bars: Bars | None = None
        self._said: dict[str, object] = {}

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bars = Bars(
                TextColumn("{task.description:<12}"),
                BarColumn(bar_width=14),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[line]}", markup=False),
                console=self.console,
            )
            self._tasks = {
                step: self._bars.add_task(step, total=100, start=False, line="")
                for step in self._steps
            }
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars:
            self._bars.stop()

    def tell(self, progress: Progress) -> None:
        """How far a step is; a line that does not fit beside its bar stands above the bars."""
        if self._bars is None:
            self._tell_line(progress)
            return
        fits = len(progress.line) <= self.console.width - BESIDE
        if not fits and self._is_new(progress.step, progress.line):
            self.say(f"{progress.step}: {progress.line}")
        task = self._tasks[progress.step]
        self._bars.start_task(task)
        self._bars.update(task, completed=progress.percent, line=progress.line if fits else "")
        if progress.percent == 100:
            self._bars.stop_task(task)

    def _tell_line(self, progress: Progress) -> None:
        """One line for each new sentence, and for each ten percent."""
        if self._is_new(progress.step, (progress.percent // 10, progress.line)):
            line = f": {progress.line}" if progress.line else ""
            self.say(f"{progress.step} {progress.percent} %{line}")

    def _is_new(self, step: str, what: object) -> bool:
        before, self._said[step] = self._said.get(step), what
        return before != what

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text)

    def say_record(self, what: str, value: str, *, note: str = "") -> None:
        """A DNS record: its name whole, then its value, cut where it is long."""
        shown = value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"
        self.say(f"  {what}{f'  ({note})' if note else ''}")
        self.say(f"      {shown}")

    def ask(self, question: str) -> str:
        """What is answered, in lower case; the bars stand still meanwhile."""
        if self._bars:
            self._bars.stop()
        answer = self.console.input(question).strip().lower()
        if self._bars:
            self._bars.start()
        return answer
