"""Programs that run inside images on providers' machines: plain files that import nothing of this package."""
