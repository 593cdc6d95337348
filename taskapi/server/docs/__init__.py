"""The documentation pages: Swagger UI at /docs and ReDoc at /redoc.

All files that they load are served from here. `server/health` serves the document.
"""
