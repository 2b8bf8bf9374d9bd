"""How dates are written where a page does not say it itself, e.g. in the admin."""
