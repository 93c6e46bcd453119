"""Threads work a little ahead, in order, and no further."""

import os

import pytest

from pipeline.base.parallel import map_ahead


def test_results_come_in_order():
    assert list(map_ahead(lambda number: number**2, range(100))) == [number**2 for number in range(100)]
    assert list(map_ahead(str, [])) == []


def test_it_stays_a_few_items_ahead():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_ahead(str, items())
    for number in range(5):
        assert next(results) == str(number)
    assert len(taken) <= 5 + (os.cpu_count() or 1) + 1


def test_an_error_is_raised_where_its_result_is_taken():
    results = map_ahead(lambda number: 1 // number, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
