"""The provider's side: telemetry, the stream to the control plane, and the runners that do the work."""
