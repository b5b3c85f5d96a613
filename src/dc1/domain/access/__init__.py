"""Who may call: keys, roles and scopes; how secrets are kept and messages are signed."""
