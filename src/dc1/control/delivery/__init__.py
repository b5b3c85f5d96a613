"""What happens because an event waits to be sent: webhooks and notifications."""
