"""What renters, owners, admins and daemons may do, each as one call."""
