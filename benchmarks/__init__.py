"""Benchmarks of the service: `benchmarks/run --help`, `benchmarks/profile --help`."""
