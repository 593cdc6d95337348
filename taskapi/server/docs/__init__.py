"""The documentation pages: Swagger UI at /docs and ReDoc at /redoc.

All files that they and the pages of `server/account` load are served from here. `server/health`
serves the document.
"""
