"""Containers from a pool of threads: pool.py COUNT AT_ONCE NETWORK IMAGE CMD.."""

import sys
from concurrent.futures import ThreadPoolExecutor

import docker

count, at_once, network, image, *command = sys.argv[1:]
client = docker.from_env(max_pool_size=int(at_once), timeout=600)


def trial(number):
    # Raises where the exit code is not 0.
    client.containers.run(image, command, name=f"combu-bench-t{number}", network_mode=network, remove=True)


with ThreadPoolExecutor(int(at_once)) as pool:
    ended = len(list(pool.map(trial, range(int(count)))))
sys.exit(ended != int(count))
