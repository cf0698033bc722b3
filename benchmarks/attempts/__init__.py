"""What people and machines do to an experiment: attempts, each of which ends well or does not."""
