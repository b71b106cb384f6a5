"""Several processes on one port: who takes which call, and how a request finds it."""
