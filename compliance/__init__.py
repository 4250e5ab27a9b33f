"""The rules of the bank and its regulators: facts in, verdict with reasons out, no I/O."""
