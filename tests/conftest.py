"""Settings of the suite; the cast (Ada owns, Bo helps, Cy is a stranger) stands in `cast.py`."""
