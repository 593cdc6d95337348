"""HTTP: what an operation takes and returns, declared once and enforced, and its documentation."""
