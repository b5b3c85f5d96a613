"""NotificationService: where people are told, by Slack, Telegram, e-mail or an address of theirs."""
