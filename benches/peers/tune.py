"""Trials of Ray Tune, each of which runs a container (with --image) or a process, and fails where that does."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
began = time.perf_counter()
import ray  # noqa: E402
from ray import tune  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path)
parser.add_argument("--image")
parser.add_argument("--network")
parser.add_argument("count", type=int)
parser.add_argument("at_once", type=int)
parser.add_argument("command", nargs="+")
given = parser.parse_args()
image, network, command = given.image, given.network, given.command


def container(config):
    import docker

    name = f"combu-bench-r{config['number']}"
    docker.from_env(timeout=600).containers.run(image, command, name=name, network_mode=network, remove=True)
    return {"exit": 0}


def process(config):
    return {"exit": subprocess.run(command, check=True).returncode}


ray.init(num_cpus=given.at_once, include_dashboard=False, log_to_driver=False, _temp_dir=str(given.folder / "ray"))
(given.folder / "start-up").write_text(f"{time.perf_counter() - began:.2f}")
results = tune.Tuner(
    tune.with_resources(container if image else process, {"cpu": 1}),
    param_space={"number": tune.grid_search(list(range(given.count)))},
    tune_config=tune.TuneConfig(max_concurrent_trials=given.at_once, reuse_actors=True),
    run_config=tune.RunConfig(storage_path=str(given.folder / "state"), verbose=0),
).fit()
ray.shutdown()
sys.exit(sum(one.metrics is not None and one.metrics.get("exit") == 0 for one in results) != given.count)
