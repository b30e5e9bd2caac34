"""What goes wrong while the stack is set up, said together with what to do about it."""


class SetupError(Exception):
    """Something the stack needs is missing or does not start.

    `problem` says what went wrong; `remedy` says what the reader can do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n  What to do: {remedy}")
        self.problem = problem
        self.remedy = remedy
