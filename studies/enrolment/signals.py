"""News about enrolments, sent inside the transaction of the change."""

from django.dispatch import Signal

# enrolment, old (state before; "" for a first invitation), by
enrolment_changed = Signal()

# enrolment, old (level before), by
level_changed = Signal()
