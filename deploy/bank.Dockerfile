# The example bank: a node with a behavior library. Images of your own actors are made like this.
#   docker build -f deploy/bank.Dockerfile --build-arg NODE_IMAGE=histrio-node -t histrio-bank .
ARG NODE_IMAGE=histrio-node:dev
FROM debian:bookworm-slim AS build
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends gcc libc6-dev
WORKDIR /histrio
COPY include include
COPY examples/bank/bank.c .
RUN gcc -std=gnu17 -O2 -Wall -Wextra -Werror -fPIC -shared -Iinclude -o libbank.so bank.c

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="histrio-bank" \
      org.opencontainers.image.description="The example system bank of Histrio"
COPY --from=build /histrio/libbank.so /app/libbank.so
