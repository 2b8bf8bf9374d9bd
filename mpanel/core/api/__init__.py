"""What every JSON operation leans on: strict input, one error body, keys, limits, schema."""
