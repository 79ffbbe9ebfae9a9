# The operator, and the CLI for jobs in the cluster.
#   docker build -f deploy/operator.Dockerfile -t histrio-operator .
FROM debian:bookworm-slim AS build
WORKDIR /histrio
COPY . .
RUN deploy/build.sh /out operator

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="histrio-operator" \
      org.opencontainers.image.description="Looks after ActorSystems on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/packages /tmp/packages
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ca-certificates $(cat /tmp/packages) \
    && rm -rf /tmp/packages /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=build /out/bin/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/histrio-operator"]
