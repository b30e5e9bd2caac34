"""News about studies, sent inside the transaction of the change; receivers may refuse."""

from django.dispatch import Signal

# A study is about to move: study (locked, still in its old state), new (str).
study_moving = Signal()
