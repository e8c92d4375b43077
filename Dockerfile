# Two stages: faust-streaming has no wheel for Linux arm64 and is compiled in the first one there.
FROM python:3.13-slim-bookworm AS build
# Debian keeps one version of a package in a release; the base image pins the release.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN python -m venv /opt/build && python -m venv /opt/trailstreams
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
 && /opt/trailstreams/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY avro avro
COPY streams streams
RUN /opt/build/bin/hatchling build -t wheel -d dist \
 && /opt/trailstreams/bin/pip install --no-cache-dir --no-index --no-deps dist/*.whl

FROM python:3.13-slim-bookworm
COPY --from=build /opt/trailstreams /opt/trailstreams
ENV PATH=/opt/trailstreams/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can check runAsNonRoot. The root file system may be read-only;
# /tmp is all that is written to.
USER 10001:10001
WORKDIR /tmp
EXPOSE 9108
ENTRYPOINT ["trailstreams"]
