"""An app whose work costs nothing: it adds a number to arrays of a chosen size."""
