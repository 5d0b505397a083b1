# shellcheck shell=bash
# Bare Debian systems in a directory, for scripts/fresh and scripts/trial. Sourced behind lib.sh, never run.
# Sets scratch, a directory that goes at the end unless keep is true, and machine, a directory in it.

((EUID == 0)) || die 'only root may make a machine: run it with sudo'
need fresh

scratch=$(mktemp -d -p "${TMPDIR:-/var/tmp}" "${0##*/}.XXXXXX")
machine=$scratch/root

# Its mounts are in a namespace of their own, and gone by now: only files are left.
clean_up() {
    if ${keep:-false}; then
        say "the machine is in $machine"
    else
        rm -rf --one-file-system "$scratch"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

make_bare() {
    say "making a bare Debian in $2"
    mkdir -p "$(dirname "$2")"
    quietly "$scratch/log" debootstrap --variant=minbase --include=git,ca-certificates "$1" "$2" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" || die 'debootstrap could not make it'
}

# make_machine SUITE BASE: a Debian in $machine, as its installer leaves it; a copy of BASE, which is made
# if it is not there, unless that is empty.
make_machine() {
    if [[ -z $2 ]]; then
        make_bare "$1" "$machine"
    else
        [[ -d $2/etc ]] || make_bare "$1" "$2"
        cp -a "$2" "$machine"
    fi
    cp --remove-destination /etc/resolv.conf "$machine/etc/resolv.conf"
    # As Debian's installer writes it; debootstrap does not.
    printf '%s\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost ip6-loopback' >"$machine/etc/hosts"
}

# within COMMAND…: runs it there as root, with mounts and processes of its own.
within() {
    # shellcheck disable=SC2016 # the shell in the new namespace is to expand it
    unshare --mount --pid --fork --kill-child bash -c '
        set -e
        machine=$1
        shift
        mount -t proc proc "$machine/proc"
        mount --rbind /sys "$machine/sys"
        mount --rbind /dev "$machine/dev"
        exec chroot "$machine" "$@"' bash "$machine" \
        env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        DEBIAN_FRONTEND=noninteractive ${JOBS:+JOBS="$JOBS"} "$@"
}

# readme_block NAME: what this block of the README contains.
readme_block() { sed -n "/^\`\`\`[a-z]* $1\$/,/^\`\`\`\$/p" "$ROOT/README.md" | sed '1d;$d'; }
