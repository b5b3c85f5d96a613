"""What computes beside a daemon that has nothing to compute with."""

from dc1.daemon.runners.child import ParentLink

ParentLink().emit("failed", reason="nothing is installed")
