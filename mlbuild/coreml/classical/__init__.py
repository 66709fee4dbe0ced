"""Models that are no networks: trees, linear models, encoders, neighbours."""
