"""News about enrolments, sent inside the transaction of the change."""

from django.dispatch import Signal

# enrolment, old (state before; "" for a new invitation)
enrolment_changed = Signal()
