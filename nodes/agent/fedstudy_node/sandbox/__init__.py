"""The walls around a study script at the node, and the honest account of which of them stand.

`choosing` builds the strongest sandbox that this machine offers and has `probes`, a suite of attacks, try to get out of
it; the level that the node reports is the one that held. `launching` starts scripts in it. Levels are in `levels`.
"""
