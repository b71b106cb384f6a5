# Two stages: the first installs what uv.lock names and our wheel into /opt/voicebot, the second carries only that.
# `make image-check` runs the first stage's steps without Docker.

FROM python:3.13-slim AS build
ENV UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1
RUN python -m pip install --no-cache-dir uv==0.13.9
WORKDIR /src

# What others wrote changes seldom: a layer of its own.
COPY pyproject.toml uv.lock ./
RUN uv venv --quiet /opt/voicebot \
    && uv export --quiet --locked --no-default-groups --extra postgresql --no-emit-project --output-file /src/requirements.txt \
    && uv pip install --quiet --python /opt/voicebot --require-hashes --requirement /src/requirements.txt

COPY README.md LICENSE ./
COPY voicebot voicebot
RUN uv build --quiet --wheel --out-dir /src/dist \
    && uv pip install --quiet --python /opt/voicebot --no-deps /src/dist/voicebot-*.whl


FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /data voicebot \
    && install --directory --owner=voicebot --group=voicebot --mode=0750 /data
COPY --from=build /opt/voicebot /opt/voicebot
ENV PATH=/opt/voicebot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VOICEBOT_HOST=0.0.0.0 \
    VOICEBOT_PORT=8080 \
    VOICEBOT_STORE__URL=sqlite:////data/voicebot.db

USER voicebot
# Calls, turns and events that wait for their delivery; a voicebot.toml put here is read, too.
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080

# SIGTERM drains: no new calls, the running ones may finish. Give it time: `docker stop --time 150`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f'http://127.0.0.1:{os.environ[\"VOICEBOT_PORT\"]}/healthz', timeout=2)"]

ENTRYPOINT ["voicebot"]
CMD ["serve"]
