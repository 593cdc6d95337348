"""Measures the service beside a floor: `benchmarks/run --help`, `benchmarks/profile --help`."""
