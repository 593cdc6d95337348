"""What those who run the service do with its data: keep it, bring it back, let go what is over."""
