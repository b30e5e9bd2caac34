"""News about studies, sent inside the transaction of the change; receivers may refuse."""

from django.dispatch import Signal

# A study is about to move: study (locked, `state` is the new one already, not saved yet), old (str).
study_moving = Signal()
