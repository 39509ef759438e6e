"""A project of NumPyClients whose metrics are no plain numbers."""
