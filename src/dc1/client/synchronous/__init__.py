"""The client for programs without an event loop, made of `dc1.client.asynchronous` by `make gen`."""
