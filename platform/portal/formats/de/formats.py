"""German pages keep the decimal point, which files, papers and pictures have too; a space sets thousands apart."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = "\u202f"
