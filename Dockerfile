# check=skip=RedundantTargetPlatform
#
# `make image` builds it; docs/kubernetes.md tells the rest. Nothing in here asks for a newer syntax than what Docker and
# buildah bring along, and so there is no `# syntax=` line, which would fetch an image from Docker Hub for each build.
#
# The compiler runs on the builder's own architecture and cross-compiles, so that no compiler is ever emulated. The
# binary is linked to glibc and stands on distroless/cc, and not on musl: aws-lc and SQLite, which are C, cross-compile
# with Debian's own compilers for both architectures, and glibc's resolver is the one that cluster DNS is tried with.
#
# Both images may be given by digest, or from a mirror: --build-arg RUST_IMAGE=MIRROR/rust@sha256:…
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# What decides over the third-party crates and nothing else: manifests, lock file, settings, and stubs of sources. This
# stage runs with every change, but what it makes is the same until a manifest changes, and so the next one is cached.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS manifests
WORKDIR /build
COPY . .
RUN find . -type f ! -name '*.rs' ! -name Cargo.toml ! -name Cargo.lock ! -path './.cargo/*' -delete \
    && find . -type f -name '*.rs' ! -name main.rs ! -name lib.rs ! -name build.rs \
        ! -path '*/benches/*' ! -path '*/examples/*' -delete \
    && find . -type f -name '*.rs' | while read -r stub; do printf '%s\n' '//! A stub.' 'fn main() {}' >"$stub"; done \
    && find . -type d -empty -delete

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS build
ENV CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_NET_RETRY=5
# Writes the list of crates with their versions into the binary (section .dep-v0): what scanners such as Trivy, Grype,
# Syft and `cargo audit bin` read, and what `--sbom=true` finds, wherever the binary is copied to. It runs on the builder
# and comes before the target is named, so that it is built once for all of them.
RUN cargo install --quiet --locked --version 0.7.7 cargo-auditable
# Without a default, which BuildKit would prefer to the platform that was asked for.
ARG TARGETARCH
# The C compiler for the target, which is also its linker. rustup is asked only where the target is not there yet.
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) target=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu ;; \
        arm64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu ;; \
        *) echo "no image is made for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    if ! command -v "$gnu-gcc" >/dev/null; then \
        apt-get update -q; \
        package=$(echo "$gnu" | tr _ -); \
        apt-get install -yq --no-install-recommends "gcc-$package" "g++-$package" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || rustup target add "$target"; \
    variable=$(echo "$target" | tr a-z- A-Z_); \
    { \
        echo "export CARGO_BUILD_TARGET=$target CARGO_TARGET_${variable}_LINKER=$gnu-gcc"; \
        echo "export CC_$(echo "$target" | tr - _)=$gnu-gcc CXX_$(echo "$target" | tr - _)=$gnu-g++"; \
    } >/cross
WORKDIR /build
COPY --from=manifests /build .
# The stubs of our own crates are forgotten again, or cargo would take them for built where a source is older.
RUN . /cross \
    && cargo auditable build --quiet --profile dist --locked --no-default-features --features jemalloc --bin countersign \
    && cargo clean --quiet --profile dist --package countersign --package countersign-verifier
COPY . .
RUN . /cross \
    && cargo auditable build --quiet --profile dist --locked --no-default-features --features jemalloc --bin countersign \
    && mkdir -p /out/state \
    && cp "target/$CARGO_BUILD_TARGET/dist/countersign" /out/countersign

# Said although it goes without saying: buildah before 1.39 would go on with the builder's platform, from the stage above.
FROM --platform=$TARGETPLATFORM ${RUNTIME_IMAGE}
ARG RUNTIME_IMAGE
# Version, revision and time are labels that scripts/build-image adds: here, from arguments, buildah 1.28 would take them
# from its cache when nothing else has changed.
LABEL org.opencontainers.image.title="Countersign" \
    org.opencontainers.image.description="An auth microservice behind gRPC" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="$RUNTIME_IMAGE"
COPY --from=build /out/countersign /usr/local/bin/countersign
# The one place that may be written to, and only with the embedded database; a new volume takes its owner from here.
COPY --from=build --chown=65532:65532 /out/state /var/lib/countersign
# gRPC, HTTP, operations.
EXPOSE 50051 8080 9090
# By number: Kubernetes cannot tell of a name that it is not root's.
USER 65532:65532
WORKDIR /var/lib/countersign
STOPSIGNAL SIGTERM
# Asks the operations port that the environment configures (COUNTERSIGN__OPERATIONS__…, or the file that COUNTERSIGN_CONFIG
# names), in TLS where that speaks TLS. It sees no arguments: name the file in COUNTERSIGN_CONFIG, not with --config. Where
# the port requires clients' certificates and the server's own is none of a client's, override this with
# --certificate-file and --key-file.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/countersign", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/countersign"]
# Inside a container the loopback defaults would serve nobody. As arguments, and not in the environment, they are gone
# where somebody gives others, such as --config with a file that says where to listen.
CMD ["serve", "--grpc-listen=0.0.0.0:50051", "--http-listen=0.0.0.0:8080", "--operations-listen=0.0.0.0:9090"]
