"""OpenAIService: inference by the token."""
