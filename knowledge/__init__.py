"""Finding the right approved material for a question, and wording a reply from it."""
