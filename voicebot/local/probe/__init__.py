"""Sends an application everything that its webhook must survive, and says case by case whether it did."""
