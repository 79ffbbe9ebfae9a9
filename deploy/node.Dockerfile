# A node of an actor system, with Python and the package histrio. Code comes on top of it, in an image FROM this one (bank.Dockerfile) or
# mounted, below /app.
#   docker build -f deploy/node.Dockerfile -t histrio-node .
FROM debian:bookworm-slim AS build
WORKDIR /histrio
COPY . .
RUN deploy/build.sh /out node

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="histrio-node" \
      org.opencontainers.image.description="Runs the actors of a Histrio system" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/packages /tmp/packages
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(cat /tmp/packages) \
    && rm -rf /tmp/packages /var/lib/apt/lists/* /var/cache/apt/* /var/log/* && mkdir -p /app /var/run/histrio /etc/histrio/tls
COPY --from=build /out/bin/ /usr/local/bin/
COPY --from=build /out/python/ /usr/lib/python3/dist-packages/
RUN python3 -m compileall -q /usr/lib/python3/dist-packages/histrio
USER 65532:65532
WORKDIR /app
# Control, gateway (gRPC), gateway and probes (HTTP), links between nodes.
EXPOSE 7070 7071 7072 7073
ENTRYPOINT ["/usr/local/bin/histrio-node"]
