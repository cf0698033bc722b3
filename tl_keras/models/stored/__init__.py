"""What files hold of networks and weights; no code in them is run."""
