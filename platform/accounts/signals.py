"""News that apps above `accounts` tell each other without importing each other.

Every signal is sent inside the transaction of the service that causes it: a receiver may raise a refusal, which undoes
everything, and puts effects outside the database into `transaction.on_commit`.
"""

from django.dispatch import Signal

# A role is about to be granted: user, role (accounts.roles.Role), obj (Study or Site). Receivers refuse with E_DUTIES.
role_granting = Signal()

# An administrator removed somebody's second factors: user, by.
factors_reset = Signal()

# An administrator moved somebody from one site to another: user, origin, to, by.
person_moved = Signal()

# Somebody asked for a role, and got an answer: request (accounts.models.AccessRequest).
access_asked = Signal()
access_decided = Signal()

# Somebody without an account was invited: invitation, token (of the link; it is stored nowhere).
person_invited = Signal()

# Declared here because the studies' apps and the registry do not know each other: node_id (UUID), site_id (UUID).
node_confirmed = Signal()
node_revoked = Signal()
# Two agents used one node's keys: people of the site must look (node_id, site_id, by).
node_frozen = Signal()
# A node replaced its own keys (node_id, site_id, by).
node_rotated = Signal()
