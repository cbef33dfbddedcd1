# stdiod in a container:
#   docker build -t stdiod .
#   docker run -v ./services.yaml:/etc/stdiod/services.yaml:ro -p 7007:7007 stdiod
# Programs to be served come on top, in a Dockerfile of your own that begins with FROM stdiod.

FROM node:22-bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3
WORKDIR /opt/stdiod
COPY package.json package-lock.json binding.gyp tsconfig.json ./
COPY scripts scripts
COPY native native
COPY services services
COPY src src
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:22-bookworm-slim
WORKDIR /opt/stdiod
COPY --from=build /opt/stdiod/package.json ./
COPY --from=build /opt/stdiod/node_modules node_modules
COPY --from=build /opt/stdiod/dist dist
COPY --from=build /opt/stdiod/build/Release/stdiod.node build/Release/
COPY scripts/listens.sh scripts/
RUN ln -s /opt/stdiod/dist/src/main.js /usr/local/bin/stdiod && chmod 755 dist/src/main.js
# It asks the kernel whether stdiod listens, which wakes no program. Whether your programs answer, only a question to them can tell.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/opt/stdiod/scripts/listens.sh", "1"]
ENTRYPOINT ["node", "/opt/stdiod/dist/src/main.js"]
CMD ["run", "-c", "/etc/stdiod/services.yaml"]
