#!/usr/bin/env bash
# What has become of a job, in the words that Snakemake's executor asks for: running, success or failed.
set -euo pipefail
for _ in {1..5}; do
    if state=$(squeue --noheader --states=all --format=%T --jobs="$1" 2>&1); then
        case $state in
        COMPLETED) echo success ;;
        BOOT_FAIL | CANCELLED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT | "") echo failed ;;
        *) echo running ;;
        esac
        exit
    fi
    # the controller has forgotten the job: better run again than waited for without end
    [[ $state != *"Invalid job id"* ]] || { echo failed; exit; }
    sleep 2
done
echo "$state" >&2
exit 1
