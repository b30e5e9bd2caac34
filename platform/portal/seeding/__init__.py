"""A synthetic portal of any size, to measure pages on: everything in it is made up and says so in its name.

Rows go in by COPY, so that triggers, constraints and foreign keys of the database hold for them as for all others.
Rights are those of `accounts.permissions`, given to the same groups as by the services. Live runs are left out: a
worker would take them up.
"""
