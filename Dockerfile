# The service for production, beside a PostgreSQL that DATABASE_URL names. Before its containers
# start, a release migrates once: docker run ... flask db upgrade

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY config.py wsgi.py gunicorn.conf.py ./
COPY migrations migrations
COPY taskapi taskapi
# The user that runs it cannot write here, and compiling at each start would cost a second.
RUN /venv/bin/python -m compileall -q .

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin taskapi
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH \
    PORT=8000 \
    PYTHONUNBUFFERED=1
USER taskapi
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-c", "\
import http.client, os, sys; \
service = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); \
service.request('GET', '/livez'); \
sys.exit(service.getresponse().status != 200)"]
CMD ["gunicorn", "wsgi:app"]
