"""How a run of a comparison is trained: from each site by itself to all rows in one place."""

ALONE, LEFT_OUT, FEDERATED, HYBRID, CENTRAL = "alone", "left-out", "federated", "hybrid", "central"
PERSONALISED = "personalised"  # federated, by a strategy that leaves a part of the model at each site

# In the order of the tables: the less a model has seen of others' rows, the earlier.
KINDS = (ALONE, LEFT_OUT, FEDERATED, PERSONALISED, HYBRID, CENTRAL)
# What a comparison is asked for; personalised ones are added by their strategy.
WANTED = (ALONE, LEFT_OUT, FEDERATED, HYBRID, CENTRAL)
BESIDE_A_RUN = (ALONE, FEDERATED, HYBRID, CENTRAL)  # at which one run is repeated
OF_ONE_SITE = (ALONE, LEFT_OUT)
OF_POOLED_ROWS = (HYBRID, CENTRAL)
