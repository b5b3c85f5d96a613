"""The gRPC server: what happens around every call, and how the parts are put together."""
