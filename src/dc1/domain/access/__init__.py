"""Keys, roles and scopes say who may call; secrets are kept and messages signed here."""
