"""The posterior mean and exact top-k as users of numpy, torch and faiss write them.

Reads one job per line from standard input, as JSON, and answers each with the
median of its repetitions, in milliseconds. Data lie in memory as float32, as
these libraries want them; two threads; chunks of rows where a [B, N] matrix
would be large.

    {"rival": "numpy", "job": "posterior", "data": PATH, "queries": PATH,
     "count": N, "dimension": d, "batch": B, "sigma": s, "k": 100, "repeat": R}
"""
import json
import os
import resource
import sys
import time

THREADS = str(os.cpu_count())
os.environ.setdefault("OPENBLAS_NUM_THREADS", THREADS)
os.environ.setdefault("OMP_NUM_THREADS", THREADS)
import numpy as np

CHUNK = 4096
loaded = {}


def data_of(job):
    key = job["data"]
    if key not in loaded:
        loaded.clear()
        raw = np.fromfile(key, dtype=np.uint8).reshape(job["count"], job["dimension"])
        x = raw.astype(np.float32)
        x /= 127.5
        x -= 1
        loaded[key] = x, np.einsum("ij,ij->i", x, x)
    return loaded[key]


def numpy_posterior(job, x, norms, q):
    scale = 1 / job["sigma"] ** 2
    m = np.full((len(q), 1), -np.inf, np.float32)
    z = np.zeros((len(q), 1), np.float32)
    y = np.zeros_like(q)
    for at in range(0, len(x), CHUNK):
        rows = x[at : at + CHUNK]
        logits = (q @ rows.T - norms[at : at + CHUNK] / 2) * np.float32(scale)
        top = np.maximum(m, logits.max(1, keepdims=True))
        w = np.exp(logits - top)
        r = np.exp(m - top)
        y = y * r + w @ rows
        z = z * r + w.sum(1, keepdims=True)
        m = top
    return y / z


def numpy_topk(job, x, norms, q):
    d = norms - 2 * (q @ x.T)
    k = job["k"]
    index = np.argpartition(d, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(d, index, 1)
    order = np.argsort(values, axis=1)
    return np.take_along_axis(index, order, 1)


def torch_of(job):
    import torch

    torch.set_num_threads(int(THREADS))
    x, norms = data_of(job)
    return torch, torch.from_numpy(x), torch.from_numpy(norms)


def torch_posterior(job, x, norms, q):
    torch, x, norms = torch_of(job)
    q = torch.from_numpy(q)
    logits = (q @ x.T - norms / 2) / job["sigma"] ** 2
    return (torch.softmax(logits, 1) @ x).numpy()


def torch_topk(job, x, norms, q):
    torch, x, norms = torch_of(job)
    q = torch.from_numpy(q)
    return torch.topk(norms - 2 * (q @ x.T), job["k"], dim=1, largest=False).indices.numpy()


index_of = {}


def faiss_topk(job, x, norms, q):
    import faiss

    faiss.omp_set_num_threads(int(THREADS))
    if job["data"] not in index_of:
        index_of.clear()
        index = faiss.IndexFlatL2(x.shape[1])
        index.add(x)
        index_of[job["data"]] = index
    return index_of[job["data"]].search(q, job["k"])[1]


JOBS = {
    ("numpy", "posterior"): numpy_posterior,
    ("torch", "posterior"): torch_posterior,
    ("numpy", "topk"): numpy_topk,
    ("torch", "topk"): torch_topk,
    ("faiss", "topk"): faiss_topk,
}

for line in sys.stdin:
    job = json.loads(line)
    x, norms = data_of(job)
    q = np.fromfile(job["queries"], dtype=np.float32).reshape(job["batch"], job["dimension"])
    run = JOBS[job["rival"], job["job"]]

    def timed():
        before = time.perf_counter()
        result = run(job, x, norms, q)
        return result, time.perf_counter() - before

    # Calls that do not count, for 0.3 seconds.
    spent = 0
    while spent < 0.3:
        result, seconds = timed()
        spent += seconds
    times = sorted(timed()[1] for _ in range(job["repeat"]))
    print(
        json.dumps({
            "ms": times[len(times) // 2] * 1000,
            "first": np.asarray(result)[0].tolist()[:100],
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }),
        flush=True,
    )
