"""What people and programs ask of the service: who calls, what happens, what happened."""
