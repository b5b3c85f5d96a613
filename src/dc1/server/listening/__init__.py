"""Where the server listens, who may speak to it there, and whose word on a client's address it takes."""
