"""Compute with threads, then in a fork, which has the pool of OpenMP without its threads.

Run by a test in a process of its own: `forked.py FILE`, as answers.py.
"""

from __future__ import annotations

import multiprocessing
import sys

import torch

from answers import Question

if __name__ == "__main__":
    question = Question(sys.argv[1])
    # PyTorch and the engine have started threads, of one pool or of two.
    torch.set_num_threads(2)
    torch.randn(500, 500).matmul(torch.randn(500, 500)).exp().sum()
    expected = question.digest(2)

    def child() -> None:
        """End with another code than 0 if the answer is another."""
        assert question.digest(2) == expected

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    if process.is_alive():
        process.kill()
        sys.exit("the fork hangs")
    again = question.digest(2)
    sys.stdout.write("equal" if process.exitcode == 0 and again == expected else "different")
