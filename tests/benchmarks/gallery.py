"""How long a search in a gallery takes: the exact search, faiss's own indexes, and NumPy, in turns.

    python tests/benchmarks/gallery.py
    python tests/benchmarks/gallery.py --count 20000 --size 512 --rounds 5

Random embeddings of length 1 around random centres, as those of identities are. All ways take turns within one process,
since a machine is not equally fast at all times, and medians count: the milliseconds of a call, their ratio to NumPy's
(all products, and a partition of them), and how many of the true nearest are found. faiss alone is an IndexFlatIP with
one thread, then with all cores. Then the same for predict_rec's step, a network and a search by turns: whether the
threads of one slow the other down. Nothing passes or fails here.
Exit code: 0 measured, 1 faiss is not installed.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from ppcls_lite.infer.gallery import Gallery
from ppcls_lite.infer.gallery.approximate import FLAT, METHODS, build_index, import_faiss
from ppcls_lite.infer.gallery.exact import IP
from ppcls_lite.infer.gallery.fingerprint import Fingerprint
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.machine import describe, usable_cores

NUMPY, FAISS, FAISS_ALL = "NumPy", "faiss Flat, 1 thread", "faiss Flat, all cores"
PER_CENTRE = 20  # embeddings


def embeddings(count, size, rng):
    """[count, size] float32 of length 1, and those that are searched for, [256, size], of the same centres."""
    centres = rng.standard_normal((max(1, count // PER_CENTRE), size), dtype=np.float32)

    def around(numbers):
        rows = centres[numbers] + 0.7 * rng.standard_normal((len(numbers), size), dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return around(np.arange(count) % len(centres)), around(rng.integers(len(centres), size=256))


def with_numpy(vectors, queries, k):
    """Numbers of the k nearest, as one would write it."""
    products = queries @ vectors.T
    best = np.argpartition(-products, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(products, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def ways(vectors, k):
    """{name: (function from queries to numbers, seconds to build)}."""
    faiss = import_faiss()
    plain = build_index(vectors, FLAT, IP)

    def alone(threads):
        def search(queries):
            faiss.omp_set_num_threads(threads)
            return plain.search(queries, k)[1]

        return search

    found = {
        NUMPY: (lambda queries: with_numpy(vectors, queries, k), 0),
        FAISS: (alone(1), 0),
        FAISS_ALL: (alone(usable_cores()), 0),
    }
    names = [str(number) for number in range(len(vectors))]
    for method in METHODS:
        clock = time.perf_counter()
        gallery = Gallery.build(vectors, names, names, Fingerprint("", "", ""), method)
        seconds = time.perf_counter() - clock
        found[f"gallery {method}"] = (lambda queries, gallery=gallery: gallery.search(queries, k)[1], seconds)
    return found


def measure(functions, queries, batch_size, rounds):
    """{name: milliseconds of a call}, medians."""
    spent = {name: [] for name in functions}
    for number in range(rounds + 1):
        begin = number * batch_size % max(1, len(queries) - batch_size)
        for name, function in functions.items():
            clock = time.perf_counter()
            function(queries[begin : begin + batch_size])
            spent[name].append(1000 * (time.perf_counter() - clock))
    return {name: statistics.median(times[1:]) for name, times in spent.items()}


def beside_paddle(functions, queries, rounds):
    """{name: (milliseconds of a network's batch, alone and before each search, and of the search)}, medians."""
    with quick_import():
        import paddle

    from ppcls_lite.arch import build_model

    network = build_model("MobileNetV3_small_x1_0", class_num=10)
    network.eval()
    paddle.base.core.set_num_threads(usable_cores())
    images = paddle.randn([8, 3, 128, 128])

    def timed(function, *arguments):
        clock = time.perf_counter()
        with paddle.no_grad():
            function(*arguments)
        return 1000 * (time.perf_counter() - clock)

    functions = {"no search": lambda queries: None, **functions}
    spent = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            for _ in range(4):  # in a row, as predictions come; the first one has what came before
                pair = timed(network, images), timed(function, queries[number % 8 : number % 8 + 8])
            spent[name].append(pair)
    return {name: [statistics.median(column) for column in zip(*pairs[1:])] for name, pairs in spent.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="embeddings (default: 100000)")
    parser.add_argument("--size", type=int, default=128, help="numbers of an embedding (default: 128)")
    parser.add_argument("--k", type=int, default=5, help="nearest neighbours (default: 5)")
    parser.add_argument("--batch_sizes", nargs="+", type=int, default=[1, 8, 32], help="queries of a call")
    parser.add_argument("--rounds", type=int, default=21, help="calls of each way (default: 21)")
    args = parser.parse_args()
    vectors, queries = embeddings(args.count, args.size, np.random.default_rng(0))
    machine = describe()
    print(f"{args.count} embeddings of {args.size}, k {args.k}; {machine['cpu']}, {machine['cores']} cores")
    found = ways(vectors, args.k)
    functions = {name: function for name, (function, _) in found.items()}
    truth = with_numpy(vectors, queries, args.k)
    times = {size: measure(functions, queries, size, args.rounds) for size in args.batch_sizes}
    print(f"{'':22} {'build s':>8} {'recall':>7}" + "".join(f"{f'batch {size}: ms, ratio':>24}" for size in times))
    for name, (function, seconds) in found.items():
        numbers = function(queries)
        recall = np.mean([len(set(one) & set(two)) / args.k for one, two in zip(truth.tolist(), numbers.tolist())])
        cells = "".join(f"{row[name]:16.2f} {row[name] / row[NUMPY]:7.2f}" for row in times.values())
        print(f"{name:22} {seconds:8.1f} {recall:7.4f}{cells}", flush=True)
    print("network of 8 images at 128 px, and a search of 8 after it: ms")
    for name, (network, search) in beside_paddle(functions, queries, args.rounds).items():
        print(f"{name:22} {network:8.2f} {search:8.2f}", flush=True)


if __name__ == "__main__":
    run_main(main)
