"""Template tags of the DNS pages."""
