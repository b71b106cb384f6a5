"""A local Soniox: both real-time protocols, spoken by engines on this machine or by a script."""
