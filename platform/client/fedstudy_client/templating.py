"""A new script from a template: a small Flower app that works as it is."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from fedstudy_client.problem import FedStudyProblem

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OF_FOLDER = ("pyproject.toml", "README.md", "dictionary.json")
_OF_MODULE = ("__init__.py", "client_app.py", "server_app.py", "task.py")


def new_script(name: str, folder: Path, *, publisher: str = "my-hospital") -> list[Path]:
    """Write a script of that name into a folder that is not there yet; returns its files.

    Raises:
        FedStudyProblem: E_INVALID for a name that Flower would not take, E_EXISTS, E_FILE.
    """
    if not _NAME.fullmatch(name):
        raise FedStudyProblem("E_INVALID", "A script's name is small letters, digits and single dashes: my-script.")
    module = name.replace("-", "_")
    places = {file: folder / file for file in _OF_FOLDER} | {file: folder / module / file for file in _OF_MODULE}
    words = {"{name}": name, "{module}": module, "{publisher}": publisher}
    try:
        (folder / module).mkdir(parents=True)
        for file, place in places.items():
            text = files("fedstudy_client").joinpath("template", f"{file}.txt").read_text("utf-8")
            place.write_text(re.sub("|".join(map(re.escape, words)), lambda found: words[found[0]], text), "utf-8")
    except FileExistsError as error:
        raise FedStudyProblem("E_EXISTS", f"{folder / module} is there already.") from error
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{folder} cannot be written: {error.strerror}.") from error
    return list(places.values())
