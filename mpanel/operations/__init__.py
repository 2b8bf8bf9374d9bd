"""What an operator runs: settings that are checked, processes and their units, backups, keys."""
