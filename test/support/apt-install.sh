#!/bin/sh
# Installs Debian packages without starting a service. Whoever runs this holds a lock: apt-get waits
# for another one's work on packages, but not for its lists.
set -e
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -q -o DPkg::Lock::Timeout=600 "$@"; }

# Debian asks this program before a package starts its service; 101 is "no".
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
fi
apt update
apt install -y --no-install-recommends "$@"
