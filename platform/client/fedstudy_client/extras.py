"""What the plain client does without: parts that need fedstudy-core and fedstudy-node, or pandas."""

from __future__ import annotations

import importlib
from typing import Any

from fedstudy_client.problem import FedStudyProblem


def with_extra(module: str, extra: str = "dry-run") -> Any:
    """A module that needs more than the plain client. Raises FedStudyProblem (E_EXTRA) where that is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        detail = f"This needs more than the plain client ({error}). Say: pip install 'fedstudy-client[{extra}]'"
        raise FedStudyProblem("E_EXTRA", detail) from error
