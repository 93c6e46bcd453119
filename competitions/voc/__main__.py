from competitions.voc.competition import Competition
from competitions.voc.configs import CONFIGS
from pipeline.cli import main

main(Competition(), CONFIGS)
