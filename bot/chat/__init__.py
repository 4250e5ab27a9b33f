"""What is said between customers and RMs, and the sidebar beside it."""
