"""The service itself: what it is, whether it runs, what its errors mean."""
