"""Plan to manifests, on disk or on a cluster."""
