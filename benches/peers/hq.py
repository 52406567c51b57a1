"""Processes through HyperQueue, its server and worker in this process: hq.py --folder FOLDER COUNT AT_ONCE CMD.."""

import sys
import time
from pathlib import Path

began = time.perf_counter()
from hyperqueue import Job, LocalCluster  # noqa: E402
from hyperqueue.cluster import WorkerConfig  # noqa: E402

folder, count, at_once, *command = sys.argv[2:]
folder = Path(folder)
with LocalCluster(server_dir=str(folder / "state"), worker_config=WorkerConfig(cores=int(at_once))) as cluster:
    client = cluster.client()
    (folder / "start-up").write_text(f"{time.perf_counter() - began:.2f}")
    job = Job(max_fails=None)
    for _ in range(int(count)):
        job.program(command, stdout=None, stderr=None)
    good = client.wait_for_jobs([client.submit(job)], raise_on_error=False)
sys.exit(not good)
