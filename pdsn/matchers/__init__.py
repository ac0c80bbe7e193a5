"""How alike two faces are, given a base and what is covered."""
