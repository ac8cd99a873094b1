"""Deaths, signals and forks at the worst moments, seen from Python."""
