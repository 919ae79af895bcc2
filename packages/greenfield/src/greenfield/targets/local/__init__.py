"""Plan to processes on this machine: claims, supervisor, guardian, probes, certificates, logs, state."""
