"""How much to borrow: cached features, two-phase training, the search, the strategies."""
