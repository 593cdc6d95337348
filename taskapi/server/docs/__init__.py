"""The documentation pages: Swagger UI at /docs and ReDoc at /redoc.

Here live the two pages and the files that they load, all served by this process. The document that
they show, /openapi.json, is made and served elsewhere.
"""
