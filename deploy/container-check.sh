#!/bin/bash
# Exercises the container where there is no Docker engine, as root on Debian:
#
#   deploy/container-check.sh            the Dockerfile's steps on this machine's own system files
#   deploy/container-check.sh --image    the Dockerfile itself, built by buildah (chroot isolation)
#
# Either way it then runs as the image says: read-only root, user 1000, no privileges, node as PID 1.
# With CRM_URL and ERP_URL, databases that have the tables of mappings/, also `setup` and `run` until
# healthy, then SIGTERM. NODE_IMAGE names a base for --image; by default one is made by debootstrap.
# LISTEN is the address to listen on, 127.0.0.1:9464 unless given.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { echo "ok: $*"; }
need() {
  for program; do
    command -v "$program" >/dev/null || fail "needs $program (Debian: apt-get install $program)"
  done
}
[ "$(id -u)" = 0 ] || fail 'needs root, to make namespaces and to change user'
need unshare setpriv chroot npm node curl

checkout=$PWD
work=$(mktemp -d)
root=$work/root
volume=$work/volume
config=$work/config
bin=/usr/local/bin
node=$(node -p process.execPath)
buildah=(buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run")
running=
finish() {
  [ -z "$running" ] || kill -KILL "$running" 2>/dev/null || true
  # shellcheck disable=SC2015
  [ -e "$work/storage" ] && "${buildah[@]}" umount --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

# The files that the Dockerfile copies, built as its RUN lines do, beside the host's system files.
assemble() {
  local app=$root/app
  mkdir -p "$work/build" "$app"
  cp -r package.json rolldown.config.ts src connectors "$work/build"
  ln -s "$checkout/node_modules" "$work/build/node_modules"
  (cd "$work/build" && npm run build)
  mv "$work/build/dist" "$app/dist"
  cp LICENSE package.json "$app"
  chmod 755 "$app/dist/main.js"
  mkdir -p "$root"/{proc,dev,tmp,etc,usr,opt/bin,var/lib/carrick}
  ln -s ../../app/dist/main.js "$root/opt/bin/carrick"
  touch "$root/opt/bin/node"
  for folder in bin sbin lib lib64; do
    if [ -L /$folder ]; then cp -P /$folder "$root"; elif [ -e /$folder ]; then mkdir "$root/$folder"; fi
  done
  cp /etc/passwd /etc/nsswitch.conf /etc/hosts /etc/resolv.conf "$root/etc"
  bin=/opt/bin
}

base_image() {
  need debootstrap
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/base/debian" >&2
  cp "$node" "$work/base/node"
  cp -rL "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$work/base/npm"
  # Where a proxy has its own authority, npm inside must know it too.
  cat "${NODE_EXTRA_CA_CERTS:-/dev/null}" >"$work/base/authority.pem"
  cat >"$work/base/Dockerfile" <<'BASE'
FROM scratch
COPY debian/ /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY authority.pem /etc/ssl/authority.pem
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/authority.pem
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && useradd -u 1000 -m node
BASE
  "${buildah[@]}" bud --isolation chroot --layers=false -t localhost/node:24-slim "$work/base" >&2
  rm -rf "$work/base"
  echo localhost/node:24-slim
}

image() {
  need buildah
  mkdir -p "$work/base"
  local from=${NODE_IMAGE:-$(base_image)} container found
  "${buildah[@]}" bud --isolation chroot --format docker --layers=false \
    --build-arg NODE_IMAGE="$from" --build-arg VERSION=check -t localhost/carrick .
  # What the daemon would take from the image is what is exercised below.
  found=$("${buildah[@]}" inspect --type image localhost/carrick | node -e '
    const { config: c } = JSON.parse(require("fs").readFileSync(0, "utf8")).Docker;
    console.log([c.User, c.WorkingDir, c.Entrypoint, c.Cmd, c.StopSignal, Object.keys(c.Volumes),
      Object.keys(c.ExposedPorts), c.Healthcheck.Test].join(" "));
    if (!c.Labels["org.opencontainers.image.title"]) process.exit(1);')
  local wanted='1000:1000 /etc/carrick carrick run SIGTERM /var/lib/carrick 9464/tcp CMD,carrick,healthcheck'
  [ "$found" = "$wanted" ] || fail "the image says: $found, not: $wanted"
  ok "image: $found"
  container=$("${buildah[@]}" from --pull-never localhost/carrick)
  root=$("${buildah[@]}" mount "$container")
}

# Runs a command as the container would: as PID 1 of its own, nothing writable but the volume.
inside() {
  # shellcheck disable=SC2016
  exec unshare --mount --pid --fork --kill-child=KILL bash -c '
    set -e
    root=$1 volume=$2 config=$3 bin=$4 node=$5; shift 5
    mount --bind "$root" "$root"
    if [ "$bin" = /opt/bin ]; then
      for folder in /usr /bin /sbin /lib /lib64; do
        [ -L $folder ] || [ ! -e $folder ] || mount --rbind $folder "$root$folder"
      done
      mount --bind "$node" "$root/opt/bin/node"
    fi
    mkdir -p "$root/etc/carrick"
    mount --bind "$config" "$root/etc/carrick"
    mount --bind "$volume" "$root/var/lib/carrick"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -o remount,bind,ro "$root"
    mount -o remount,bind,ro "$root/etc/carrick"
    [ "$bin" != /opt/bin ] || mount -o remount,bind,ro "$root/usr"
    exec chroot "$root" setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs \
      --bounding-set=-all --inh-caps=-all env -i PATH="$bin:/usr/bin:/bin" NODE_ENV=production \
      SQLITE_TMPDIR=/var/lib/carrick NODE_COMPILE_CACHE=/app/compiled \
      MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=32768 \
      CRM_URL="${CRM_URL:-postgres://x@localhost/x}" \
      ERP_URL="${ERP_URL:-mysql://x@localhost/x}" sh -c "cd /etc/carrick && exec \"\$@\"" sh "$@"
  ' bash "$root" "$volume" "$config" "$bin" "$node" "$@"
}

case ${1:-} in
  --image) image ;;
  '') assemble ;;
  *) fail "unknown option $1" ;;
esac

mkdir -p "$config" "$volume"
cp -r mappings "$config"
cat >"$config/carrick.yaml" <<YAML
instance: container_check
systems:
  crm: {connector: postgres, url: "\${CRM_URL}"}
  erp: {connector: mysql, url: "\${ERP_URL}"}
mappings: [mappings/*.yaml]
ledger: sqlite:/var/lib/carrick/carrick.db
ledger_key: $(head -c 32 /dev/urandom | base64)
listen: ${LISTEN:-127.0.0.1:9464}
YAML
chown 1000:1000 "$volume"
chmod 755 "$work" "$root"
chmod -R go+rX "$config"

echo "size: $(du -sh "$root/app" | cut -f1)"
for package in $(node -p 'Object.keys(require("./package.json").dependencies).join(" ")'); do
  grep -q "^$package " "$root/app/dist/LICENSES.txt" || fail "the licence of $package is missing"
done
ok 'every package has its licence'

[ "$(inside id -u)" = 1000 ] || fail 'does not run as user 1000'
for place in / /app /app/dist /etc/carrick /tmp /usr/local; do
  ! (inside touch "$place/written" 2>/dev/null) || fail "$place can be written"
done
(inside touch /var/lib/carrick/written) || fail 'the volume cannot be written'
ok 'only /var/lib/carrick can be written'

(inside carrick --help) | grep -q 'carrick run' || fail 'carrick --help'
ok 'carrick --help'
if [ "${1:-}" = --image ]; then
  (inside env NODE_DEBUG_NATIVE=COMPILE_CACHE carrick --version 2>&1) |
    grep -q 'main.js was accepted' || fail 'what was compiled in advance does not fit'
  ok 'starts with what was compiled in advance'
fi
(inside carrick check --offline) || fail 'carrick check --offline'
ok 'carrick check --offline'
! (inside carrick healthcheck 2>/dev/null) || fail 'healthy without a daemon'
ok 'healthcheck fails without a daemon'

if [ -z "${CRM_URL:-}" ] || [ -z "${ERP_URL:-}" ]; then
  echo 'left out: setup and run need CRM_URL and ERP_URL'
  exit 0
fi
(inside carrick setup)
ok 'carrick setup'
inside carrick run 2>"$work/log" &
running=$!
for _ in $(seq 120); do
  kill -0 "$running" 2>/dev/null || { cat "$work/log"; fail 'run ended by itself'; }
  ! curl -fs "http://${LISTEN:-127.0.0.1:9464}/readyz" >/dev/null || break
  sleep 0.5
done
(inside carrick healthcheck >/dev/null) || { cat "$work/log"; fail 'does not get healthy'; }
ok 'run gets ready, healthcheck is content'
(inside carrick status)
first=$(cat "/proc/$running/task/$running/children")
first=${first%% *}
[ "$(awk '/^NSpid/ {print $NF}' "/proc/$first/status")" = 1 ] || fail 'is not PID 1'
[ "$(readlink "/proc/$first/exe")" != "$(readlink -f /bin/sh)" ] || fail 'a shell is PID 1'
grep -q '^NoNewPrivs:\s*1' "/proc/$first/status" || fail 'may gain privileges'
kill -TERM "$first"
code=0
wait "$running" || code=$?
running=
[ $code = 0 ] || { cat "$work/log"; fail "SIGTERM to PID 1 ended it with code $code"; }
ok 'PID 1 stops cleanly at SIGTERM'
[ -s "$volume/carrick.db" ] || fail 'there is no ledger on the volume'
ok 'the ledger is on the volume'
