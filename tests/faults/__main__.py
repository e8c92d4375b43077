import sys
from pathlib import Path
from faults.run import run, Plan
from faults.timing import SHORT
seed=int(sys.argv[1]); names=sys.argv[2:]
plan = Plan.named(seed, names, timing=SHORT) if names else Plan.of(seed)
r = run(plan, keep=Path(f"/tmp/faults-run-{seed}"))
print(r.seconds, r.events, r.rows, r.anomalies, r.failure)
for d in r.differences[:40]: print(d)
print(len(r.differences))
