# shellcheck shell=bash
# What the benches share; they source it, nobody runs it.
#
# A bench sets the defaults of its options and calls `options "$@"`. It defines `run_NAME` for each contender, which runs
# $size commands "${words[@]}", $at_once at a time, and fails unless all end with 0; then it calls `enter` for each, and
# `compare`. Every round runs each contender once, in turn, so that a slow moment of the machine hits all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

# The options, and what they are where neither the bench nor its caller says it.
sizes=100 rounds=3 at_once=4 commands=true network=none only="" without="" ideal=""

combu=${COMBU:-target/release/combu}
python=${PYTHON:-target/bench-venv/bin/python}
folder=$(mktemp -d)
export COMBU_DIR="$folder/state"

known=() contenders=() words=() background=() broken=0
size=0 command=""
declare -A walls cpus peaks starts

note() { printf '%s\n' "$*" >&2; }
stop() { note "$*"; exit 2; }

# What a bench may define besides: `prepare` before the rounds of a table, `reset` before a contender is clocked, `verify
# NAME` after it (fails where trials are missing), `clean` at the end.
prepare() { :; }
reset() { :; }
verify() { :; }
clean() { :; }

finish() {
    local pid
    for pid in "${background[@]}"; do kill "$pid" 2>/dev/null || true; done
    # What a contender started and left running carries the name of this bench's own folder in its arguments.
    for pid in $(pgrep -f -- "$folder" || true); do kill -9 "$pid" 2>/dev/null || true; done
    clean || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# options ARGS..: reads the command line. `--help` prints the comment at the head of the bench.
options() {
    local option
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help)
                sed -n '2,/^[^#]/{/^# shellcheck/d; s/^# \{0,1\}//p}' "$0"
                exit 0
                ;;
            --sizes | --rounds | --at-once | --commands | --network | --only | --without | --ideal)
                [ $# -ge 2 ] || stop "\`$1\` needs a value"
                option=${1#--}
                printf -v "${option//-/_}" '%s' "$2"
                shift 2
                ;;
            *) stop "unknown option \`$1\`: --help shows them" ;;
        esac
    done
    [[ $rounds =~ ^[1-9][0-9]*$ ]] || stop "\`--rounds\` is a number above 0"
    [ -x /usr/bin/time ] || stop "GNU time is not installed: apt-get install time"
    [ -x "$combu" ] || stop "there is no $combu: cargo build --release, or say where with COMBU=.."
}

# listed NAME LIST: whether a name stands in a list with commas.
listed() { [[ ",$2," == *",$1,"* ]]; }

# enter NAME HINT CHECK..: NAME takes part, unless it is not chosen or CHECK fails; HINT says how to get it.
enter() {
    local name=$1 hint=$2
    shift 2
    known+=("$name")
    if listed "$name" "$without" || { [ -n "$only" ] && ! listed "$name" "$only"; }; then return; fi
    if "$@" >/dev/null 2>&1; then contenders+=("$name"); else note "$name is left out, it is not installed: $hint"; fi
}

# python_has MODULE: whether the Python of the benches can import it.
python_has() { "$python" -c "import $1"; }

# timed COMMAND..: runs it and notes its CPU time and peak memory, children that it waited for included.
timed() { /usr/bin/time --append --output="$folder/cost" --format='%U %S %M' "$@"; }

median() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; else print "-" }'; }
calc() { awk "BEGIN { printf \"%.3f\", $1 }"; }

# succeeds NAME: runs one contender once; false where it failed or trials are missing.
succeeds() {
    rm -rf "$folder/state" "$folder/cost" "$folder/start-up" "$folder/output"
    reset
    local code=0
    wall=$EPOCHREALTIME
    "run_$1" >"$folder/output" 2>&1 || code=$?
    wall=$(calc "$EPOCHREALTIME - $wall")
    if [ "$code" -ne 0 ]; then
        note "$1 failed with exit code $code; the end of its output:"
        tail -n 5 "$folder/output" >&2
        return 1
    fi
    verify "$1"
}

# measure NAME: runs one contender once and keeps its figures.
measure() {
    if ! succeeds "$1"; then
        walls[$1]=failed broken=1
        return
    fi
    walls[$1]+=" $wall"
    if [ -s "$folder/cost" ]; then
        cpus[$1]+=" $(awk -v size="$size" '{ cpu += $1 + $2 } END { print cpu / size * 1000 }' "$folder/cost")"
        peaks[$1]+=" $(awk '$3 > peak { peak = $3 } END { print peak / 1024 }' "$folder/cost")"
    fi
    if [ -s "$folder/start-up" ]; then starts[$1]+=" $(cat "$folder/start-up")"; fi
}

# table: the medians of each contender, in the form of a Markdown table.
table() {
    local name ours="-" over=""
    if [[ ${walls[combu]-failed} != failed ]]; then ours=$(median "${walls[combu]}"); fi
    if [ -n "$ideal" ]; then over=" over ideal |"; fi
    printf '\n%s x %s, %s at once, %s rounds%s\n\n' "$size" "$command" "$at_once" "$rounds" "$(about)"
    printf '| contender  | median s | per second | times combu | CPU ms each | peak MB | start-up s |%s rounds |\n' "$over"
    printf '| ---------- | -------- | ---------- | ----------- | ----------- | ------- | ---------- |%s ------ |\n' "${over:+ ---------- |}"
    for name in "${contenders[@]}"; do
        if [[ ${walls[$name]} == failed ]]; then
            printf '| %-10s | failed |\n' "$name"
            continue
        fi
        awk -v name="$name" -v took="$(median "${walls[$name]}")" -v ours="$ours" -v size="$size" -v at_once="$at_once" \
            -v cpu="$(median "${cpus[$name]-}")" -v peak="$(median "${peaks[$name]-}")" -v ideal="$ideal" \
            -v start="$(median "${starts[$name]-}")" -v all="${walls[$name]}" '
            function shown(form, value) { return value == "-" ? value : sprintf(form, value) }
            BEGIN {
                printf "| %-10s | %8.2f | %10.1f | %11s | %11s | %7s | %10s |", name, took, size / took,
                    ours == "-" ? ours : sprintf("%.2f", took / ours), shown("%.2f", cpu), shown("%.0f", peak), shown("%.1f", start)
                if (ideal != "") {
                    best = ideal * int((size + at_once - 1) / at_once)
                    printf " %8.2f %% |", (took / best - 1) * 100
                }
                print all " |"
            }'
    done
}

# What the heading of a table says besides; a bench may define its own.
about() { :; }

# compare: a table for each command, size and number at once. Fails where a contender did.
compare() {
    local round name all_sizes all_at_once all_commands
    IFS=, read -ra all_sizes <<<"$sizes"
    IFS=, read -ra all_at_once <<<"$at_once"
    IFS=, read -ra all_commands <<<"$commands"
    IFS=, read -ra names <<<"$only,$without"
    for name in "${names[@]}"; do
        if [ -n "$name" ] && [[ " ${known[*]} " != *" $name "* ]]; then stop "no contender is called \`$name\`: ${known[*]}"; fi
    done
    [ ${#contenders[@]} -gt 0 ] || stop "no contender is left"
    for command in "${all_commands[@]}"; do
        read -ra words <<<"$command"
        for size in "${all_sizes[@]}"; do
            for at_once in "${all_at_once[@]}"; do
                walls=() cpus=() peaks=() starts=()
                prepare
                for round in $(seq "$rounds"); do
                    for name in "${contenders[@]}"; do
                        [[ ${walls[$name]-} == failed ]] || measure "$name"
                    done
                    note "$size x $command, $at_once at once: round $round of $rounds done"
                done
                table
            done
        done
    done
    return "$broken"
}
