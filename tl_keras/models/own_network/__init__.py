"""A network that no table has, as a backbone."""
