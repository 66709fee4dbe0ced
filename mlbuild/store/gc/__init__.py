"""What of the caches is needed, by whom, and what may go."""
