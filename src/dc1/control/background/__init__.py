"""What happens because time passes, or because an event waits to be sent."""
