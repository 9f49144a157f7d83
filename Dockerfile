# The image of docker-compose.yml: the project with its locked dependencies. See there how far it has been tried.
FROM python:3.12-slim

RUN useradd --create-home --uid 50000 early-warning \
    && install --directory --owner=early-warning /var/lib/early-warning
WORKDIR /opt/early-warning
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY plugins plugins
COPY dags dags
COPY dbt_project dbt_project
COPY expectations expectations
COPY company company
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

ENV AIRFLOW_HOME=/home/early-warning/airflow \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    DO_NOT_TRACK=1 \
    GX_ANALYTICS_ENABLED=false \
    SCARF_ANALYTICS=false
USER early-warning
