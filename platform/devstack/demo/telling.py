"""How the demo says where it is: a progress bar on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Telling:
    """Progress in steps. A step's text stays until the next; rounds of runs are steps as well."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<62}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=steps)

    def step(self, text: str) -> None:
        """Begin a step."""
        if self._console.is_terminal:
            self._progress.update(self._task, description=text, advance=1)
        else:
            self._console.print(text)

    def advance(self, text: str, steps: int) -> None:
        """Say where a long step is; `steps` have been done since the last time."""
        self._progress.update(self._task, description=text, advance=steps)

    def note(self, text: str) -> None:
        """Say something that stays on the screen."""
        self._console.print(text)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()
