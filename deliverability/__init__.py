"""How much may be sent: limits, their counters, the policy service that Postfix asks."""
