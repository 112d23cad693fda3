# The images of the operator and, with `--target node`, of the node agent. For users: `docker build .` (or `make image IMAGE=…`), with packages from the index.
# Without an index (the lab): wheels of requirements.txt in wheelhouse/, the project's own wheel in dist/, and a
# local base image: `buildah bud --pull-never --build-arg BASE=localhost/lab/python:1 --build-arg WHEELS=local .`
# Tag and digest of the base move together: `docker buildx imagetools inspect TAG` tells the digest.
ARG BASE=docker.io/library/python:3.13.14-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6
# Of the node agent: the same, or one that has its tools already.
ARG NODE_BASE=${BASE}

FROM ${BASE} AS build
# index | local: only who says so gets what lies in wheelhouse/ and dist/, which may be old.
ARG WHEELS=index
WORKDIR /src
# The globs make the folders optional: the wheels in them, if there are any, land here.
COPY requirements.txt wheelhous[e] ./
RUN python3 -m venv /opt/datapath-probe
ENV PATH=/opt/datapath-probe/bin:${PATH} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN pip install --only-binary=:all: $([ "$WHEELS" != local ] || echo --no-index --find-links=.) \
        --no-deps --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE requirements-build.txt dis[t] ./
COPY operator/ operator/
RUN if [ "$WHEELS" = local ]; then mkdir /wheel && cp datapath_probe-*.whl /wheel; else \
        python3 -m venv /opt/build && \
        /opt/build/bin/pip install --only-binary=:all: --no-deps --require-hashes -r requirements-build.txt && \
        /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir=/wheel . ; fi
RUN pip install --no-deps /wheel/*.whl && pip uninstall --yes pip

# The node agent: `docker build --target node .` Curl and the tools that read what the kernel knows, as Debian builds them.
FROM ${NODE_BASE} AS node
RUN command -v bpftool > /dev/null || { apt-get update -qq && apt-get install -qy --no-install-recommends \
        bpftool ca-certificates curl findutils iproute2 iptables && rm -rf /var/lib/apt/lists/*; }
# For files of requests, in a mount namespace of their own.
RUN mkdir /run/datapath-probe
COPY --from=build /opt/datapath-probe /opt/datapath-probe
ENV PATH=/opt/datapath-probe/bin:${PATH} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["datapath-probe"]
CMD ["node-agent"]

FROM ${BASE}
COPY --from=build /opt/datapath-probe /opt/datapath-probe
ENV PATH=/opt/datapath-probe/bin:${PATH} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Each exec's TLS connection takes a buffer of 256 KiB for a moment: outside the heap it leaves no hole there.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["datapath-probe"]
CMD ["run"]
# Of a release: its version, its commit, and where its sources are. Last: a new value costs no layer.
ARG BASE
ARG VERSION=
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="datapath-probe" \
      org.opencontainers.image.description="Probes paths through Cilium and names the broken hop" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}"
