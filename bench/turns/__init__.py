"""A labelled set of caller turns, the recogniser's answers to it, and what turn policies make of them."""
