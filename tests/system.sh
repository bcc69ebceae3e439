#!/bin/sh
# The programs that the tests (or, with NEEDS set, the benchmarks) run for real. As root on Debian
# they are installed; elsewhere the missing ones are named. A test that lacks one is skipped, or
# fails with CI=true.
PATH=$PATH:/usr/sbin:/sbin
packages=
missing=
for program in ${NEEDS:-sshd top vmstat nginx tmux ip zsh fish tcsh busybox mawk gawk original-awk curl httperf ab hey wrk apache2}; do
    command -v "$program" >/dev/null && continue
    missing="$missing $program"
    case $program in
    sshd) packages="$packages openssh-server" ;;
    top | vmstat) packages="$packages procps" ;;
    nginx) packages="$packages nginx-light" ;;
    ab) packages="$packages apache2-utils" ;;
    apache2) packages="$packages apache2-bin" ;;
    ip) packages="$packages iproute2" ;;
    *) packages="$packages $program" ;;
    esac
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$packages"
    export DEBIAN_FRONTEND=noninteractive
    # Nothing that is installed for the tests may start as a service.
    [ -e /usr/sbin/policy-rc.d ] || {
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    }
    # shellcheck disable=SC2086
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null
    exit
fi
echo "missing:$missing (packages:$packages); tests that need them are skipped"
