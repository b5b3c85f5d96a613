"""NotificationService: where people are told, by Slack, Telegram or an address of theirs."""
