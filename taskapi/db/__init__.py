"""The database: connections, statements compiled once, transactions, tenancy, manual order.

Nothing here knows a feature or HTTP; a feature's own SQL is in its `queries.py`.
"""
