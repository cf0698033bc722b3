"""The weights that a backbone starts from, and what is known of them."""
