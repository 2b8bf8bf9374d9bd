"""What a domain publishes before its nameservers point here: finding it, taking it over, comparing.

No zone shows its names to strangers, unless it allows transfers. So several sources are asked, it
is said what cannot be seen, and nothing is written without consent.
"""
