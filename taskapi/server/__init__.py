"""What gunicorn serves as taskapi; `gunicorn.conf.py` puts it in place.

Imported after gevent has patched the standard library, and by nothing but gunicorn's processes.
"""
