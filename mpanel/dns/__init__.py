"""Asking the DNS: messages, and clients that bound how long and how much they ask."""
