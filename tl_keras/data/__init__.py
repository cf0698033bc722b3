"""Images in: where they come from, what is wrong with them, how they are split and decoded."""
