"""Control plane of DCP, a marketplace where GPU owners rent out machines and renters run jobs on them."""
