"""Three ways to diffuse tokens of a large alphabet on spheres, on a source of known entropy.

    python benchmarks/large_alphabets.py [--vocabulary 512] [--steps 1500] [--seeds 1]

The source: V tokens in classes of 16, put together at random, so that digits know nothing of
classes. A class is followed by one of two, a token is any of its class: a sequence of L tokens
has log2 V + 5 (L - 1) bits, and is learnt by learning the classes.

- full: one sphere of V tokens, v_1 = 1/V;
- in place: digits of a balanced base near 32, all of a token in one position with several heads;
- split: the same digits as so many positions.

The same transformer (width 64, 2 layers) for all, trained by cross-entropy for as many steps on
as many sequences; the bound is of 256 fresh sequences, 8 times each.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from seqflow.denoiser import EvidenceDenoiser
from seqflow.digits import DigitCodec, DigitsInPlace
from seqflow.likelihood import variational_bound
from seqflow.networks import Transformer
from seqflow.optimisers import build_optimiser
from seqflow.radial import ParticleTable, RadialFlow
from seqflow.scattered_times import ScatteredTimes

BATCH, WIDTH = 32, 64
MEMBERS, SUCCESSORS = 16, 2


class Source:
    """The hidden Markov chain of classes, of which every token tells its own.

    Args:
        vocabulary: V, a multiple of 16.
        length: L.
    """

    def __init__(self, vocabulary: int, length: int) -> None:
        generator = torch.Generator().manual_seed(0)
        num_classes = vocabulary // MEMBERS
        self.members = torch.randperm(vocabulary, generator=generator).view(num_classes, -1)
        order = torch.randperm(num_classes, generator=generator)
        self.following = torch.stack([order.roll(i) for i in range(SUCCESSORS)], 1)
        self.length = length
        bits = math.log2(MEMBERS) + math.log2(SUCCESSORS)
        self.bits = (math.log2(vocabulary) + (length - 1) * bits) / length

    def draw(self, num: int, generator: torch.Generator) -> Tensor:
        """Sequences ``(num, length)``."""
        kind = torch.randint(len(self.members), (num,), generator=generator)
        tokens = []
        for _ in range(self.length):
            member = torch.randint(MEMBERS, (num,), generator=generator)
            tokens.append(self.members[kind, member])
            choice = torch.randint(SUCCESSORS, (num,), generator=generator)
            kind = self.following[kind, choice]
        return torch.stack(tokens, 1)


def transformer(size: int) -> Transformer:
    """The trunk with ``size`` features and logits a position."""
    return Transformer(size, size, width=WIDTH, num_layers=2, num_heads=4)


def build(kind: str, codec: DigitCodec) -> tuple[RadialFlow, nn.Module]:
    """The process of the tokens or digits, and its network."""
    V, b, m = codec.vocabulary, codec.base, codec.num_digits
    if kind == "full":
        return RadialFlow(V), transformer(V)
    if kind == "in place":
        return RadialFlow(b), DigitsInPlace(codec, transformer(m * b))
    return RadialFlow(b), transformer(b)


def run(kind: str, source: Source, codec: DigitCodec, steps: int, seed: int) -> tuple[float, ...]:
    """Bits a token, their standard error, and CPU seconds of training."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    process, network = build(kind, codec)
    shown = (lambda x: x) if kind == "full" else (lambda x: codec.encode(x).flatten(1))
    model = EvidenceDenoiser(process, network)
    objective = ScatteredTimes(replace(process, walk=ParticleTable()), spread=3.0)
    optimiser = build_optimiser(model, 3e-3, 0.01, 8e-3)
    schedule = LambdaLR(optimiser, lambda n: min(1, (n + 1) / 100) * (1 - n / steps))
    start = time.process_time()
    for _ in range(steps):
        loss = objective(model, {"x_1": shown(source.draw(BATCH, generator))}, generator).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    taken = time.process_time() - start
    x_1 = shown(source.draw(256, torch.Generator().manual_seed(10**6)))
    bound = variational_bound(process, model.eval(), x_1, num_draws=8)
    digits = x_1.shape[1] / source.length
    return bound.bits * digits, bound.standard_error / math.log(2) * digits, taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=512)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = Source(options.vocabulary, options.length)
    codec = DigitCodec.balanced(options.vocabulary)
    print(f"{codec}, {codec.num_digits} digits; entropy {source.bits:.3f} bits a token\n")
    print("| way | seed | bound, bits a token | standard error | CPU s |\n|---|---|---|---|---|")
    for seed in range(options.seeds):
        for kind in ("full", "in place", "split"):
            bits, error, taken = run(kind, source, codec, options.steps, seed)
            print(f"| {kind} | {seed} | {bits:.3f} | {error:.3f} | {taken:.0f} |", flush=True)


if __name__ == "__main__":
    main()
