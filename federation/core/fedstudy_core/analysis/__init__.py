"""Static analysis of a script: what a reviewer should look at first. Nothing of the script is run or imported.

A finding is a pointer for people, not a verdict: what holds a script at a site is the sandbox, whatever it says.
Portal and node use the same analysis, so that a site sees the same findings without asking the portal.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace

from fedstudy_core.analysis import flower, project
from fedstudy_core.analysis.bandit_report import bandit_findings
from fedstudy_core.analysis.findings import Category, Finding, Risk, highest
from fedstudy_core.analysis.literals import of_literals
from fedstudy_core.analysis.project import PROJECT, Project, reached_from, read_project, top_modules
from fedstudy_core.analysis.reading import read_sources
from fedstudy_core.analysis.source import of_source

__all__ = ["EDITION", "MAX_FINDINGS", "Category", "Finding", "Risk", "analyse", "highest"]

# Counts up when rules change what they find.
EDITION = 1
MAX_FINDINGS = 500
_ASIDE = " No part of the client app imports this file."


def analyse(contents: Mapping[str, bytes]) -> list[Finding]:
    """The findings of a bundle's files, the riskiest first, at most `MAX_FINDINGS`.

    Files that the client app does not import are not run at a site; their findings count as low there, unless something
    in the client app loads modules by names that only the run knows.

    Args:
        contents: every file of the bundle by its path.
    """
    sources = {path: content for path, content in sorted(contents.items()) if path.endswith((".py", ".pyw"))}
    told = read_project(contents.get(PROJECT, b""))
    found: set[Finding] = set(project.of_names(sorted(contents)))
    found.update(project.of_dependencies(contents.get(PROJECT, b""), told))
    trees, problems = read_sources(sources)
    found.update(problems)
    at_site = reached_from(told.client, trees)
    found.update(_of_trees(trees, told, at_site))
    found.update(_of_bandit({path: sources[path] for path in trees}, found))
    return sorted(_weighed(found, at_site), key=lambda item: item.order)[:MAX_FINDINGS]


def _of_trees(trees: Mapping[str, ast.Module], told: Project, at_site: frozenset[str]) -> Iterator[Finding]:
    own = top_modules(list(trees))
    apps = _app_files(told.server, trees) - _app_files(told.client, trees)
    for path, tree in trees.items():
        yield from of_source(path, tree, own)
        yield from of_literals(path, tree)
        if path in at_site:
            yield from flower.of_client(path, tree, told)
            yield from flower.imports_server(path, tree, apps)


def _app_files(module: str, trees: Mapping[str, ast.Module]) -> frozenset[str]:
    place = module.replace(".", "/")
    return frozenset({f"{place}.py", f"{place}/__init__.py"} & set(trees))


def _of_bandit(sources: Mapping[str, bytes], own: set[Finding]) -> list[Finding]:
    """Bandit's findings, without those that our own rules say at the same place and no less grave."""
    said: dict[tuple[str, int, Category], int] = {}
    for item in own:
        place = (item.path, item.line, item.category)
        said[place] = max(said.get(place, 0), item.risk.rank)
    return [
        item
        for item in bandit_findings(sources)
        if said.get((item.path, item.line, item.category), -1) < item.risk.rank
    ]


def _weighed(found: set[Finding], at_site: frozenset[str]) -> Iterator[Finding]:
    loads_anything = any(item.path in at_site and item.rule in _LOADING and item.risk is Risk.HIGH for item in found)
    for item in found:
        aside = item.path.endswith((".py", ".pyw")) and item.path not in at_site and bool(at_site)
        if aside and not loads_anything and item.rule not in ("OBFUSCATED_SHADOW", "UNREADABLE"):
            yield replace(item, risk=Risk.LOW, detail=item.detail + _ASIDE)
        else:
            yield item


_LOADING = {"DYNAMIC_CODE", "DYNAMIC_IMPORT", "DYNAMIC_INTERNALS", "DYNAMIC_DETOUR", "OBFUSCATED_NAME", "UNREADABLE"}
