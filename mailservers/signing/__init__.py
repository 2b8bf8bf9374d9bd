"""The signer: what Postfix gives every submitted message to, and gets back DKIM-signed.

Postfix's `content_filter` speaks SMTP to it, and it speaks SMTP to the next hop, a Postfix server
without a filter. See docs/decisions/0013.
"""
