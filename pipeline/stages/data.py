"""Fetch and reorganise the raw files; nothing else."""

from dataclasses import dataclass

from pipeline.stages.context import Context
from pipeline.stages.options import SourceOptions


@dataclass(frozen=True, kw_only=True)
class Options(SourceOptions):
    """Fetch and reorganise the raw files; nothing else."""


def run(context: Context, options: Options) -> str:
    """Prepare the data."""
    return f"data: {context.data.folder}"
