# Carrick as a container: docker build -t carrick .
# deploy/container-check.sh builds and exercises this file where there is no Docker engine.
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY rolldown.config.ts ./
COPY connectors connectors
COPY src src
RUN npm run build
# What V8 compiles at a start is compiled here, by the image's user: each user has a cache of its own.
# It holds for the options of the program's first line, so that starts it.
ENV NODE_COMPILE_CACHE=/app/compiled
RUN chmod 755 dist/main.js && install -d -o 1000 compiled
USER 1000:1000
RUN dist/main.js schema config >/dev/null

FROM ${NODE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Carrick" \
      org.opencontainers.image.description="Keeps a CRM and an ERP in agreement, both ways, from their transaction logs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /app
COPY --from=build /app/dist dist
COPY --from=build --chmod=755 /app/compiled compiled
COPY LICENSE package.json ./
# The ledger's folder is all that is ever written; a volume over it takes this owner.
RUN ln -s /app/dist/main.js /usr/local/bin/carrick \
 && install -d -o 1000 -g 1000 -m 700 /var/lib/carrick
# SQLite spills there too: /tmp may be read-only.
ENV NODE_ENV=production SQLITE_TMPDIR=/var/lib/carrick NODE_COMPILE_CACHE=/app/compiled
# One arena of glibc: each thread of Node would have its own, and keep what it once needed. Buffers
# of sockets (64 KiB) and what V8 compiles with (32 KiB) are mapped each by itself: they leave holes.
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=32768
# carrick.yaml is looked for here, also by `docker exec CONTAINER carrick status`.
WORKDIR /etc/carrick
# The image's user `node`; a number, so that Kubernetes can see that it is not root.
USER 1000:1000
VOLUME /var/lib/carrick
EXPOSE 9464
# Fails also while a database is away. Docker marks the container then and does not restart it, which
# would not help; what does restart (deploy/kubernetes) has probes of its own.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["carrick", "healthcheck"]
# PID 1 is node itself (the shebang replaces the process), which handles SIGTERM.
STOPSIGNAL SIGTERM
ENTRYPOINT ["carrick"]
CMD ["run"]
