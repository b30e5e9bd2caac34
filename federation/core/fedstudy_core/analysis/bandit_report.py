"""What bandit, the usual analyser for Python, says about the same files.

Its rules about passwords, cryptography, web frameworks and style say nothing about what a script may do at a site, and
are left out. Comments by which authors silence it (`nosec`) are not obeyed.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fedstudy_core.analysis.findings import Category, Finding, Risk

C = Category
_NETWORK = "B104 B113 B310 B312 B321 B323 B401 B402 B412 B415 B501 B502 B503 B507 B508 B509 B615"
_PROCESS = "B404 B601 B602 B603 B604 B605 B606 B607 B609"
_CATEGORIES: Mapping[str, Category] = MappingProxyType(
    {
        **dict.fromkeys(("B102", "B307"), C.DYNAMIC),
        **dict.fromkeys(("B103", "B108", "B202", "B306"), C.FILE),
        **dict.fromkeys(("B301", "B302", "B403", "B506", "B614"), C.DESERIALISATION),
        **dict.fromkeys(_NETWORK.split(), C.NETWORK),
        **dict.fromkeys(_PROCESS.split(), C.PROCESS),
        "B612": C.DYNAMIC,
        "B613": C.OBFUSCATION,
    }
)
_RISKS = {"LOW": Risk.LOW, "MEDIUM": Risk.MEDIUM, "HIGH": Risk.HIGH}


def bandit_findings(sources: Mapping[str, bytes]) -> list[Finding]:
    """Bandit's findings as ours.

    Args:
        sources: readable Python files by path.
    """
    with tempfile.TemporaryDirectory(prefix="fedstudy-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python says of the script's own text, and bandit's loader of itself
        from bandit.core.config import BanditConfig  # only who analyses pays for loading it
        from bandit.core.manager import BanditManager

        manager = BanditManager(BanditConfig(), "file", ignore_nosec=True)
        written = {}
        for number, (path, content) in enumerate(sources.items()):
            file = Path(folder) / f"{number}.py"
            file.write_bytes(content)
            written[str(file)] = path
        manager.files_list = list(written)
        manager.run_tests()
        issues = [issue for issue in manager.get_issue_list() if issue.test_id in _CATEGORIES]
    return [
        Finding(
            path=written[issue.fname],
            line=issue.lineno,
            category=_CATEGORIES[issue.test_id],
            risk=_RISKS[issue.severity],
            rule=f"bandit:{issue.test_id}",
            detail=_sentence(issue.text),
        )
        for issue in issues
    ]


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return f"Bandit: {words if len(words) <= 160 else words[:157] + '…'}"
