"""torch's DataLoader, whose workers send tensors in shared memory."""

import torch
from client import compare, context
from torch.utils.data import DataLoader, Dataset


class Squares(Dataset):
    """Forty tensors of equal numbers."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.full((1000,), float(index * index)), index


def load(**options):
    loader = DataLoader(Squares(), batch_size=7, **options)
    return [(numbers.sum(1).tolist(), index.tolist()) for _ in range(2) for numbers, index in loader]


def alone():
    return load()


def together():
    return load(num_workers=2, multiprocessing_context=context(), persistent_workers=True)


if __name__ == "__main__":
    compare(alone, together)
