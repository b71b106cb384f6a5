"""What is fuzzed: one target per parser, with good examples to begin from and the laws that any input must obey."""
