"""How customers come: a code for each RM and channel, and the one welcome."""
