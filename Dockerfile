# The production image. DATABASE_URL names the database. Migrate it once per release, before its
# containers start: docker run ... flask db upgrade

# Any image with Python 3.11 or newer, preferably with its digest: python:3.11-slim@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
COPY requirements.txt ./
# A pip configuration can be passed as a secret, which is not stored in the image:
#   --secret id=pip.conf,src=...   and its certificate, named /etc/pip.pem there:   --secret id=pip.pem,src=...
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=pip.pem,target=/etc/pip.pem \
    python3 -m venv /venv \
    && /venv/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements.txt \
    && /venv/bin/pip uninstall --quiet --yes pip setuptools
COPY config.py config_oidc.py wsgi.py gunicorn.conf.py ./
COPY migrations migrations
COPY taskapi taskapi
# The runtime user cannot write here, and compiling on each start would take a second.
RUN /venv/bin/python -m compileall -q .

FROM ${PYTHON_IMAGE}
# Remove package installers, from the locations of python.org's and Debian's images.
RUN lib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && rm -rf "$lib"/ensurepip "$lib"/site-packages/pip* "$lib"/site-packages/setuptools* \
        "$lib"/site-packages/wheel* /usr/local/bin/pip* /usr/share/python-wheels \
    && groupadd --gid 10001 taskapi \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin taskapi
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH \
    PORT=8000 \
    PYTHONUNBUFFERED=1
# A numeric ID, so that the platform can verify that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-c", "\
import http.client, os, sys; \
service = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); \
service.request('GET', '/livez'); \
sys.exit(service.getresponse().status != 200)"]
CMD ["gunicorn", "wsgi:app"]
