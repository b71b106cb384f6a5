"""Speech engines on this machine, each behind one of three small interfaces."""
