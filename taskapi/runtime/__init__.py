"""What depends on how dependencies work inside; docs/runtime.md lists each use with its reason."""
