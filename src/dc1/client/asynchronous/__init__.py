"""The client for programs with an event loop; `dc1.client.synchronous` is made of it by `make gen`."""
