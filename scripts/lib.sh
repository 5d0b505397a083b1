# shellcheck shell=bash
# What the scripts beside this file share. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

bad_usage() {
    say "$* (try --help)"
    exit 2
}

# quietly LOG COMMAND…: adds the command's output to LOG, and shows the end of it only if the
# command fails. The command gets no stdin: that belongs to the script's own user.
quietly() {
    local log=$1 status=0
    shift
    "$@" </dev/null >>"$log" 2>&1 || status=$?
    ((status == 0)) || tail -n 60 "$log" >&2
    return "$status"
}

# need GROUP…: makes sure that the packages of these groups of scripts/setup are installed. Only where
# the script has set install=true are they installed; else the script ends, and says what is missing
# and how to install it.
need() {
    local how=(--check)
    ! ${install:-false} || how=()
    "$ROOT/scripts/setup" "${how[@]}" "$@" || exit
}

# The options that say which build is meant. Sets sanitize, compiler, build_type and dir, and
# leaves all others in the array rest.
# shellcheck disable=SC2034 # they are read by the scripts
take_build_options() {
    local name
    sanitize='' compiler='' build_type='' dir='' rest=()
    while (($# > 0)); do
        case $1 in
            --sanitize=* | --compiler=* | --dir=*)
                set -- "${1%%=*}" "${1#*=}" "${@:2}"
                ;;
            --sanitize | --compiler | --dir)
                (($# > 1)) || bad_usage "$1 needs a value"
                case $1=$2 in
                    --sanitize=address | --sanitize=thread) sanitize=$2 ;;
                    --compiler=gcc | --compiler=clang) compiler=$2 ;;
                    --dir=?*) dir=$2 ;;
                    *) bad_usage "$1 cannot be '$2'" ;;
                esac
                shift 2
                ;;
            --debug)
                build_type=Debug
                shift
                ;;
            *)
                rest+=("$1")
                shift
                ;;
        esac
    done

    # Builds of different kinds never share a directory, so that none undoes the other's work.
    name=build${compiler:+-$compiler}${build_type:+-debug}
    case $sanitize in
        address) name+=-asan ;;
        thread) name+=-tsan ;;
    esac
    dir=${dir:-$ROOT/$name}
}
