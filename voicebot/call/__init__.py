"""One phone call, from the ring to the last word told."""
