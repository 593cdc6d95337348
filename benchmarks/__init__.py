"""Compares the service with the floor: `benchmarks/run --help`, `benchmarks/profile --help`."""
