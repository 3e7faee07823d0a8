# The server in one small image: `docker build -t caracal .`
# Debian slim because the embedded Postgres (not used here unless DATABASE_URL is unset) needs glibc.
FROM node:26-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:26-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

FROM node:26-slim
ARG CARACAL_BUILD_SHA=unknown
ENV NODE_ENV=production \
    CARACAL_ENV=production \
    CARACAL_BUILD_SHA=$CARACAL_BUILD_SHA \
    CARACAL_DATA_DIR=/var/lib/caracal
# An account with a name: the embedded Postgres asks for it.
RUN groupadd --gid 65532 caracal \
 && useradd --uid 65532 --gid 65532 --home-dir /var/lib/caracal --shell /usr/sbin/nologin caracal \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/caracal /var/lib/caracal/audit-replay
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY package.json LICENSE ./
COPY drizzle ./drizzle
RUN ln -s /app/dist/main.js /usr/local/bin/caracal && chmod 755 /app/dist/main.js
USER 65532:65532
VOLUME /var/lib/caracal
EXPOSE 3000 3001 4000 8080 8081 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "/app/dist/main.js", "healthcheck"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
