"""`make reproduce`: the published tables of Fed-Heart-Disease, row by row, as real runs on real nodes."""
