"""Proof under faults: what is promised, checked while things are made to fail."""
