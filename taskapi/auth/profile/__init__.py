"""The profile of an account: name, time zone, locale and first day of the week."""
