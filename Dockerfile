# offerd in a container, Debian 12 throughout. docs/deploy.md says how to run it, scripts/image builds and tries it without a registry.
#
#   docker build -t offerd:0.1.0 .
#
# The server is built for x86-64-v3 (AVX2: Haswell and later).
ARG BASE=docker.io/library/debian:12.11-slim

FROM ${BASE} AS build
WORKDIR /src
# The packages first, in a layer of their own: they change rarely.
COPY scripts/setup scripts/setup
RUN scripts/setup
COPY . .
RUN scripts/build release offerd offerctl \
 && install -D -t /out build/release/bin/offerd build/release/bin/offerctl \
 && strip --strip-debug /out/offerd /out/offerctl

FROM ${BASE}
LABEL org.opencontainers.image.title="offerd" \
      org.opencontainers.image.description="The online decision service for shops" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# Versions are those of Debian 12, the release that BASE names: a rebuild takes its security updates.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      libabsl20220623 libcpp-httplib0.11 libcsv3 libgrpc++1.51 libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 libprotobuf32 librocksdb7.8 libsimdjson14 libssl3 \
      libstdc++6 libzstd1 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 offerd \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/offerd --shell /usr/sbin/nologin offerd \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/offerd
COPY --from=build /out/ /usr/local/bin/
COPY --chmod=0755 deploy/container/offerd-health /usr/local/bin/offerd-health
COPY --chmod=0644 deploy/container/offerd.textproto /etc/offerd/offerd.textproto
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
VOLUME /var/lib/offerd
EXPOSE 7070 9464
# offerd drains, writes a snapshot and exits 0 on it: give it time (docker stop --time 60).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 CMD ["/usr/local/bin/offerd-health"]
ENTRYPOINT ["/usr/local/bin/offerd"]
CMD ["--config", "/etc/offerd/offerd.textproto"]
