"""Who may try to log in to a mailbox: guesses are counted, and guessers refused (decision 30)."""
