"""What one server tells the others on its database, and hears from them."""
