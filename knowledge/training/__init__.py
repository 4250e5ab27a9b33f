"""How the shipped encoder table is made: the sentences it learns from and the training itself."""
