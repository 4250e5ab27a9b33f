"""The rules of the bank and its regulators, as pure functions: facts in, verdict with reasons out."""
