"""Fed-Heart-Disease: the demo's study script, its data dictionary, its public rows and its reference figures.

The Flower app itself is the inner package and knows nothing of this one; ``source`` and ``reference`` are for
the demo, the tests and the benchmarks, and never travel to a site.
"""
