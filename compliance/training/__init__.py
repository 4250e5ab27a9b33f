"""How the classifier of the wording check is made, from sentences that stand beside it."""
