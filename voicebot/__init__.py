"""A phone number in, one signed webhook per caller turn out."""
