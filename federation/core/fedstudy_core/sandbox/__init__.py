"""The walls around a study script, at a node and at the centre, and the honest account of which of them stand.

`choosing` builds the strongest sandbox that this machine offers and has `probes`, a suite of attacks, try to get out of
it; the level that it reports is the one that held. `launching` starts processes in it, which `inside` prepares; they
speak with who started them over a framed pipe (`frames`). Levels are in `levels`.
"""
