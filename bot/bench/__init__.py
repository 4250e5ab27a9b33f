"""Figures and ratios of the running product, measured side by side in one run: `make bench`."""
