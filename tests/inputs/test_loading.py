"""Items come in order from processes that stay, whatever was asked for before."""

import os
import time

import pytest
import torch
from torch.utils.data import Dataset

from pipeline.base.errors import UserError
from pipeline.inputs.loading import Loader, Loaders

CPU = torch.device("cpu")


class Squares(Dataset):
    """Item ``key`` is its square, and the process that made it."""

    def __getitem__(self, key: int) -> tuple[torch.Tensor, int]:
        if key == 13:
            raise UserError("13 cannot be read")
        return torch.tensor(key**2), os.getpid()


class Slow(Squares):
    """Worth several processes by its first item."""

    def __getitem__(self, key: int) -> tuple[torch.Tensor, int]:
        if key == 0:
            time.sleep(0.1)
        return super().__getitem__(key)


def _numbers(loader: Loader, keys: list[int]) -> list[int]:
    return [int(square) for square, _ in loader.load(keys)]


@pytest.mark.parametrize("workers", [0, 1, 2, "auto"])
def test_every_pass_has_its_own_order(workers):
    loader = Loader(Squares(), workers, CPU)
    for keys in ([3, 1, 2], [], [5], [2, 2, 9, 1, 0]):
        assert _numbers(loader, keys) == [key**2 for key in keys]


def test_processes_stay():
    loader = Loader(Squares(), 2, CPU)
    passes = [{process for _, process in loader.load(list(range(8)))} for _ in range(2)]
    assert passes[0] == passes[1]
    assert len(passes[0]) == 2 and os.getpid() not in passes[0]


def test_what_a_pass_has_not_yielded_is_given_up():
    loader = Loader(Squares(), 2, CPU)
    first = loader.load(list(range(8)))
    next(first)
    assert _numbers(loader, [4, 3]) == [16, 9]


@pytest.mark.parametrize("workers", [0, 2, "auto"])
def test_an_error_comes_in_its_items_turn_and_the_loader_goes_on(workers):
    loader, found = Loader(Squares(), workers, CPU), []
    with pytest.raises(UserError, match="13 cannot be read"):
        for square, _ in loader.load([1, 13, 2]):
            found.append(int(square))
    assert found == [1]
    assert _numbers(loader, [6, 7]) == [36, 49]


@pytest.mark.parametrize("workers", [0, 2, "auto"])
def test_loading_leaves_the_generator_that_trains_alone(workers):
    before = torch.get_rng_state()
    loader = Loader(Squares(), workers, CPU)
    for _ in range(2):
        _numbers(loader, [1, 2, 3])
    assert torch.equal(before, torch.get_rng_state())


def test_auto_starts_processes_only_where_they_are_worth_it():
    quick = Loader(Squares(), "auto", CPU)
    assert {process for _, process in quick.load(list(range(8)))} == {os.getpid()}
    slow = Loader(Slow(), "auto", CPU)
    made = [process for _, process in slow.load(list(range(9)))]
    assert made[0] == os.getpid() and os.getpid() not in made[1:]


def test_equal_datasets_share_a_loader():
    loaders, one, other = Loaders(0, CPU), Squares(), Squares()
    assert loaders.of(one) is loaders.of(one)
    assert loaders.of(one) is not loaders.of(other)
