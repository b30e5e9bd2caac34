"""Naming a study's pool node."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from nodes.registry.models import Node


class PoolNodeForm(forms.Form):
    """Which node holds the pooled rows."""

    node = forms.ChoiceField(
        label=_("Node"),
        help_text=_("An active node of a site that takes part in the study, as a rule the coordinating centre."),
    )

    def __init__(self, *args: Any, nodes: list[Node], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["node"].choices = [  # type: ignore[attr-defined]
            ("", _("Choose a node")),
            *((str(node.pk), f"{node.site.name} · {node.name}") for node in nodes),
        ]
