# The Spacedly backend as a small image: one program, no shell, no root.
#
#   docker build -t spacedly .
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:8000:8000 -v spacedly:/data spacedly
#
# With `worker` at the end it is a worker, which tells how it is at WORKER_PORT.
#
# It writes to /data alone. tests/deploy looks at every step here, and does them without a container engine.
#
# ENVIRONMENT is not set here and so is `development`: put `-e ENVIRONMENT=production` and what it asks for
# (see .env.example) wherever people other than you can reach it.

# GraphiQL, which api/build.rs puts into the program.
FROM node:24-bookworm-slim AS graphiql
WORKDIR /graphiql
COPY api/graphiql/package.json api/graphiql/package-lock.json api/graphiql/.npmrc ./
RUN npm ci
COPY api/graphiql/ ./
RUN npm run build

FROM rust:1.95-bookworm AS builder
WORKDIR /src

# The dependencies alone, from manifests and empty crates: this layer is built again only when a manifest or the lock
# changes. A new workspace member, or a new target of tests/, needs its place here; a member in .dockerignore too.
COPY .cargo/ .cargo/
COPY Cargo.toml Cargo.lock ./
COPY api/Cargo.toml api/
COPY entity/Cargo.toml entity/
COPY media/Cargo.toml media/
COPY migration/Cargo.toml migration/
COPY tests/Cargo.toml tests/
RUN mkdir -p api/src entity/src media/src migration/src tests/support tests/it tests/bench tests/faults \
    && for file in api/src/lib.rs entity/src/lib.rs media/src/lib.rs migration/src/lib.rs tests/support/lib.rs; do \
         echo '//! Stands in for the crate.' > "$file"; \
       done \
    && for file in api/src/main.rs tests/it/main.rs tests/bench/main.rs tests/faults/main.rs; do \
         printf '//! Stands in for the program.\nfn main() {}\n' > "$file"; \
       done \
    && cargo build --release --locked -p spacedly

# The program. Files keep the dates of the checkout, which may be older than the empty crates above: cargo would take
# those for current.
COPY migration/ migration/
COPY entity/ entity/
COPY media/ media/
COPY api/ api/
COPY --from=graphiql /graphiql/dist/ api/graphiql/dist/
RUN find api entity media migration -name '*.rs' -exec touch {} + \
    && cargo build --release --locked -p spacedly \
    && install -D target/release/spacedly /out/spacedly \
    && install -d -o 10001 -g 10001 /out/data

# glibc and libgcc of the same Debian as the builder, root certificates, and nothing else.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Spacedly" \
      org.opencontainers.image.description="The backend of a smart task manager: one GraphQL endpoint, reminders that are kept" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /out/spacedly /usr/local/bin/spacedly
# An empty volume takes this folder's owner.
COPY --from=builder --chown=10001:10001 /out/data /data
ENV HOST=0.0.0.0 \
    DATA_DIR=/data \
    WORKER_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Asks /health/live at PORT of this very environment, or at WORKER_PORT, and gives up by itself after 5 s. Not whether
# it is ready: starting a container anew mends no database that is away.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["spacedly", "healthcheck", "--live"]
ENTRYPOINT ["spacedly"]
