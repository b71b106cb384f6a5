"""Foreign protocols and our own webhook contract as pure functions, one file each."""
