# One image for all of mPanel's processes; compose.yaml has the command of each.
FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY . .
ENV STATIC_ROOT=/app/static-collected
RUN SECRET_KEY=only-to-collect-static-files-not-kept-anywhere \
    ENCRYPTION_KEYS=build:$(head -c 32 /dev/urandom | base64) \
    /venv/bin/python manage.py collectstatic --noinput --skip-checks

FROM python:3.13-slim
# For `manage.py backup` and `restore`.
RUN apt-get update -q && apt-get install -y -q --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
# A fixed id: the host gives that group the right to read Postfix's log.
RUN groupadd --gid 10001 mpanel \
    && useradd --uid 10001 --gid mpanel --create-home --home-dir /var/lib/mpanel mpanel
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER mpanel
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MPANEL_VAR_DIR=/var/lib/mpanel STATIC_ROOT=/app/static-collected
EXPOSE 8000
CMD ["gunicorn", "mpanel.wsgi", "--bind=0.0.0.0:8000"]
