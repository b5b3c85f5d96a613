"""What a provider can run. Every runner has the interface of `dc1.daemon.runners.base`."""
