from competitions.hotdog.competition import Competition
from competitions.hotdog.configs import CONFIGS
from pipeline.cli import main

main(Competition(), CONFIGS)
