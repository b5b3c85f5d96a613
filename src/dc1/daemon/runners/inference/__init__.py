"""Inference jobs: a chat answered by the built-in model or by a server with the OpenAI API."""
