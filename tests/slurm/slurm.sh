#!/usr/bin/env bash
# A one-node SLURM for trying the workflow's cluster profile, without systemd, cgroups or a database.
#   slurm.sh start|stop|status [STATE_FOLDER]
# STATE_FOLDER: the argument, else $M3L_SLURM_DIR, else ~/.cache/m3l-slurm.
# After `start`: export SLURM_CONF=STATE_FOLDER/slurm.conf
set -euo pipefail

export PATH="$PATH:/usr/sbin:/sbin"
state=$(realpath -m "${2:-${M3L_SLURM_DIR:-$HOME/.cache/m3l-slurm}}")
export SLURM_CONF="$state/slurm.conf"
socket="$state/munge.socket"
port=${M3L_SLURM_PORT:-6817}
host=$(hostname -s)

die() { echo "slurm.sh: $*" >&2; exit 1; }

# A pid file can outlive its daemon, and its number be another process's or an unreaped zombie's.
alive() {
    local pid
    pid=$(cat "$state/$1.pid" 2>/dev/null) && [[ -n $pid ]] &&
        [[ $(readlink "/proc/$pid/exe") == */"$1"* ]]
}

install_packages() {
    local missing=()
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null || missing+=(slurm-wlm)
    command -v munged >/dev/null || missing+=(munge)
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || die "not installed: ${missing[*]} (run once as root)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

write_config() {
    local user cpus mem
    user=$(id -un) cpus=$(nproc)
    mem=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
    mkdir -p "$state"/{ctld,slurmd,log}
    # DefMemPerCPU: a job that asks for no memory would else get all of the node's and run alone.
    # MinJobAge: with no database, scontrol is the only record of how a job ended.
    cat >"$SLURM_CONF" <<CONF
ClusterName=m3l
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/slurmd
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((mem / cpus))
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc=$state/log/jobs.txt
MinJobAge=3600
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$mem State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
}

start() {
    install_packages
    if ! alive slurmctld || ! alive slurmd; then write_config; fi
    if ! alive munged; then
        [[ -s $state/munge.key ]] ||
            (umask 077 && head -c 1024 /dev/urandom >"$state/munge.key")
        # --force: munged refuses a socket below a private folder such as /root, but here all is one user's.
        munged --force --socket="$socket" --key-file="$state/munge.key" \
            --pid-file="$state/munged.pid" --log-file="$state/log/munged.log" \
            --seed-file="$state/munged.seed" 2>>"$state/log/munged.start.log"
    fi
    alive slurmctld || slurmctld
    alive slurmd || slurmd
    for _ in {1..60}; do
        case $(sinfo -h -N -n "$host" -o %t 2>/dev/null) in
        idle | mix | alloc) status; return ;;
        down | drain) scontrol update nodename="$host" state=resume 2>/dev/null || true ;;
        esac
        sleep 0.5
    done
    tail -n 5 "$state"/log/*.log >&2
    die "the node did not come up within 30 s"
}

stop() {
    local daemon
    if alive slurmctld; then scancel --full --user="$(id -un)" 2>/dev/null || true; fi
    for daemon in slurmd slurmctld munged; do
        if alive "$daemon"; then
            kill "$(cat "$state/$daemon.pid")"
            for _ in {1..40}; do alive "$daemon" || break; sleep 0.25; done
            if alive "$daemon"; then die "$daemon does not end"; fi
        fi
        rm -f "$state/$daemon.pid"
    done
}

status() {
    local daemon down=0
    for daemon in munged slurmctld slurmd; do
        if alive "$daemon"; then echo "$daemon: running"; else echo "$daemon: stopped"; down=1; fi
    done
    ((down == 0)) || return 3
    sinfo
    echo "export SLURM_CONF=$SLURM_CONF"
}

case ${1:-} in
start | stop | status) "$1" ;;
*) die "usage: slurm.sh start|stop|status [STATE_FOLDER]" ;;
esac
